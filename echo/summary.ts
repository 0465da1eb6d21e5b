import type { LatencyHistogram } from "./latency-histogram.ts";

/** Latencies of succeeded calls, in seconds. */
export interface LatencySummary {
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** The result of a load run. */
export interface LoadSummary {
  /** Calls that ended, failed ones included. */
  readonly calls: number;
  readonly succeeded: number;
  /** Failed calls by status-code name, such as `UNAVAILABLE`. */
  readonly errorsByCode: ReadonlyMap<string, number>;
  readonly elapsedSeconds: number;
  /** Ended calls per second, failed ones included, as ghz counts. */
  readonly qps: number;
  /** Undefined if no call succeeded. */
  readonly latency: LatencySummary | undefined;
}

/** The counts of a run so far. */
export interface Tally {
  /** Of succeeded calls. */
  readonly latency: LatencyHistogram;
  /** Failed calls by status-code name. */
  readonly errorsByCode: ReadonlyMap<string, number>;
  readonly elapsedSeconds: number;
}

/** Returns the number of calls that ended, failed ones included. */
export function countCalls({ latency, errorsByCode }: Tally): number {
  let calls = latency.count;
  for (const count of errorsByCode.values()) calls += count;
  return calls;
}

/** Returns the summary of a run. */
export function summarize(tally: Tally): LoadSummary {
  const { latency, errorsByCode, elapsedSeconds } = tally;
  const calls = countCalls(tally);
  return {
    calls,
    succeeded: latency.count,
    errorsByCode,
    elapsedSeconds,
    qps: calls === 0 ? 0 : calls / elapsedSeconds,
    latency: latency.count === 0 ? undefined : {
      min: latency.min,
      mean: latency.mean,
      p50: latency.percentile(50),
      p90: latency.percentile(90),
      p95: latency.percentile(95),
      p99: latency.percentile(99),
      max: latency.max,
    },
  };
}

/** Returns a time with three digits, or all before the point: `345 µs`, `1.23 ms`, `12.3 ms`, `3600 s`. */
export function formatLatency(seconds: number): string {
  const [value, unit] = seconds < 1e-3
    ? [seconds * 1e6, "µs"]
    : seconds < 1
    ? [seconds * 1e3, "ms"]
    : [seconds, "s"];
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
}

/** Returns the summary as several lines for a terminal, the last with a newline. */
export function formatSummary(summary: LoadSummary): string {
  const sections = [
    section("Summary", [
      ["Calls", String(summary.calls)],
      ["Succeeded", String(summary.succeeded)],
      ["Duration", `${summary.elapsedSeconds.toFixed(2)} s`],
      ["QPS", summary.qps.toFixed(2)],
    ]),
  ];
  if (summary.latency !== undefined) {
    const rows = Object.entries<number>({ ...summary.latency });
    sections.push(section("Latency", rows.map(([name, value]) => [name, formatLatency(value)])));
  }
  if (summary.errorsByCode.size > 0) {
    const mostFirst = [...summary.errorsByCode].sort((a, b) => b[1] - a[1]);
    sections.push(section("Errors", mostFirst.map(([code, count]) => [code, String(count)])));
  }
  return sections.join("\n");
}

function section(title: string, rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`);
  return `${title}:\n${lines.join("")}`;
}
