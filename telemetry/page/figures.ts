import { type Counts, type Field, noCounts } from "./reader.ts";

/** What a row shows: totals of a process, or increases per second. */
export interface Figures {
  /** The status of ended calls that failed, with their number, the most frequent one first. */
  readonly errors: readonly (readonly [status: string, number: number])[];
  /** Returns a duration in seconds, interpolated; NaN without calls or without buckets. */
  quantile(q: number): number;
  /** The mean duration in seconds, if there are calls but no buckets. */
  readonly mean: number;
  /** Calls or attempts in flight, or open connections. */
  readonly now: number;
  /** The increase of another count. */
  of(field: Field): number;
}

/**
 * Compares two readings of one row.
 *
 * @param before the earlier reading, by default one with no calls
 * @param seconds the time between both; 1 for totals
 */
export function figuresOf(now: Counts, before: Counts = noCounts(), seconds = 1): Figures {
  const since = <K>(later: ReadonlyMap<K, number>, earlier: ReadonlyMap<K, number>) =>
    [...later].map(([key, value]): [K, number] => [key, value - (earlier.get(key) ?? 0)]);
  const buckets = since(now.buckets, before.buckets);
  const of = (field: Field) => (now[field] - before[field]) / seconds;
  return {
    errors: since(now.statuses, before.statuses)
      .filter(([status]) => status !== "OK")
      .map(([status, number]): [string, number] => [status, number / seconds])
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)),
    quantile: (q) => quantile(q, buckets),
    // A native histogram has no buckets in the text, only the last one, which holds all.
    mean: buckets.length > 1 ? NaN : of("seconds") / of("calls"),
    now: now.now,
    of,
  };
}

/**
 * Returns a quantile as PromQL's `histogram_quantile` does, which interpolates within a bucket.
 *
 * @param q the quantile, from 0 to 1
 * @param cumulative the number of values up to each bound; the last bound is infinite
 * @see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 */
export function quantile(
  q: number,
  cumulative: readonly (readonly [bound: number, count: number])[],
): number {
  const buckets = cumulative.toSorted(([a], [b]) => a - b);
  const [last, total] = buckets.at(-1) ?? [0, 0];
  if (last !== Infinity || buckets.length < 2 || total === 0) return NaN;
  const rank = q * total;
  const index = buckets.findIndex(([, count]) => count >= rank);
  const [upper, count] = buckets[index]!;
  const [lower, below] = buckets[index - 1] ?? [0, 0];
  if (upper === Infinity) return lower;
  if (index === 0 && upper <= 0) return upper;
  return lower + (upper - lower) * (rank - below) / (count - below);
}
