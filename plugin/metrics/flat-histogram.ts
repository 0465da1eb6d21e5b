import type { HrTime } from "@opentelemetry/api";

/** The SDK's state of one label set between two collections. */
export interface Accumulation {
  startTime: HrTime;
  record(value: number): void;
  setStartTime(startTime: HrTime): void;
  toPointValue(): unknown;
}

/** The value of a histogram with explicit bucket bounds. */
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
/** The index of the first bucket's count. */
const COUNTS = 3;

/**
 * A histogram in one array of numbers, which takes the place of the SDK's own accumulation.
 *
 * The SDK spreads the numbers over eight objects. When calls alternate between many methods, fetching
 * those objects from memory is the largest part of the cost of recording a call.
 */
export class FlatHistogram implements Accumulation {
  startTime: HrTime;
  readonly #boundaries: readonly number[];
  /** Whether the histogram reports its minimum and maximum. */
  readonly #hasMinMax: boolean;
  readonly #values: number[];

  constructor(startTime: HrTime, { buckets, sum, hasMinMax, min, max }: HistogramPoint) {
    this.startTime = startTime;
    this.#boundaries = buckets.boundaries;
    this.#hasMinMax = hasMinMax;
    // An array that has held a floating-point number stores its elements without pointers, so it
    // starts with Infinity.
    this.#values = [Infinity, min, max, ...buckets.counts];
    this.#values[SUM] = sum;
  }

  /**
   * Converts an accumulation of the SDK.
   *
   * @returns Undefined if it is not a histogram with explicit bounds, or if it has no value yet. An
   * empty histogram does not show whether it records its minimum and maximum.
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

/** Returns the index of the first bucket whose upper bound is not below the value. */
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
