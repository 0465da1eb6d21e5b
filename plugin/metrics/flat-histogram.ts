import type { HrTime } from "@opentelemetry/api";

/** What the SDK adds the values of one label set up to, between two collections. */
export interface Accumulation {
  startTime: HrTime;
  record(value: number): void;
  setStartTime(startTime: HrTime): void;
  toPointValue(): unknown;
}

/** Of a histogram with explicit bounds. */
interface HistogramPoint {
  readonly buckets: { readonly boundaries: readonly number[]; readonly counts: readonly number[] };
  readonly sum: number;
  readonly count: number;
  readonly hasMinMax: boolean;
  readonly min: number;
  readonly max: number;
}

function isHistogramPoint(value: unknown): value is HistogramPoint {
  const { buckets } = Object(value) as Partial<HistogramPoint>;
  return Array.isArray(buckets?.counts) && Array.isArray(buckets.boundaries);
}

const SUM = 0;
const MIN = 1;
const MAX = 2;
/** Where the counts of buckets begin. */
const COUNTS = 3;

/**
 * A histogram in one array of numbers. It takes the place of the SDK's own accumulation, whose
 * numbers are spread over eight objects: when calls go to many methods in turns, fetching these from
 * memory costs more than anything else in a call's metrics.
 */
export class FlatHistogram implements Accumulation {
  startTime: HrTime;
  readonly #boundaries: readonly number[];
  /** Whether the least and the greatest value are shown. */
  readonly #hasMinMax: boolean;
  readonly #values: number[];

  constructor(startTime: HrTime, { buckets, sum, hasMinMax, min, max }: HistogramPoint) {
    this.startTime = startTime;
    this.#boundaries = buckets.boundaries;
    this.#hasMinMax = hasMinMax;
    // Engines keep an array that had a number like this without a pointer for each element.
    this.#values = [Infinity, min, max, ...buckets.counts];
    this.#values[SUM] = sum;
  }

  /**
   * Makes the same of one of the SDK's.
   *
   * @returns undefined if that is no histogram with explicit bounds, or has no value yet: then it does
   * not tell whether it minds the least and the greatest one.
   */
  static of(accumulation: Accumulation): FlatHistogram | undefined {
    const point = accumulation.toPointValue();
    if (!isHistogramPoint(point) || point.count === 0) return undefined;
    return new FlatHistogram(accumulation.startTime, point);
  }

  record(value: number): void {
    if (Number.isNaN(value)) return;
    const values = this.#values;
    values[SUM]! += value;
    if (value < values[MIN]!) values[MIN] = value;
    if (value > values[MAX]!) values[MAX] = value;
    values[COUNTS + bucketOf(value, this.#boundaries)]! += 1;
  }

  setStartTime(startTime: HrTime): void {
    this.startTime = startTime;
  }

  toPointValue(): HistogramPoint {
    const [sum = 0, min = 0, max = 0, ...counts] = this.#values;
    return {
      buckets: { boundaries: this.#boundaries, counts },
      sum,
      count: counts.reduce((total, count) => total + count, 0),
      hasMinMax: this.#hasMinMax,
      min,
      max,
    };
  }
}

/** The index of the first bucket whose upper bound is not below the value. */
function bucketOf(value: number, boundaries: readonly number[]): number {
  let low = 0;
  let high = boundaries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (boundaries[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
