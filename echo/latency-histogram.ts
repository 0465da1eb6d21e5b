const LOWEST = 1e-6;
const HIGHEST = 3600;
/** Each bucket is 2 % wider than the one before, so its middle is within 1 % of its values. */
const GROWTH = 1.02;
const BUCKETS_PER_E = 1 / Math.log(GROWTH);
const BUCKETS = Math.ceil(Math.log(HIGHEST / LOWEST) * BUCKETS_PER_E);

/**
 * Latencies from 1 µs to 1 h in a fixed number of logarithmic buckets. Recording takes constant time,
 * and memory does not grow with the run. Values outside the range count in the outermost buckets.
 */
export class LatencyHistogram {
  // Doubles, because a week of load overflows 32-bit counts.
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;

  /** Number of recorded values. */
  get count(): number {
    return this.#count;
  }

  /** Smallest recorded value in seconds, exact; Infinity if none. */
  get min(): number {
    return this.#min;
  }

  /** Largest recorded value in seconds, exact; -Infinity if none. */
  get max(): number {
    return this.#max;
  }

  /** Arithmetic mean in seconds, exact; NaN if nothing was recorded. */
  get mean(): number {
    return this.#sum / this.#count;
  }

  /** Records one value in seconds. */
  record(seconds: number): void {
    const bucket = Math.floor(Math.log(seconds / LOWEST) * BUCKETS_PER_E);
    this.#counts[Math.min(Math.max(bucket, 0), BUCKETS - 1)]! += 1;
    this.#count += 1;
    this.#sum += seconds;
    if (seconds < this.#min) this.#min = seconds;
    if (seconds > this.#max) this.#max = seconds;
  }

  /**
   * Returns the nearest-rank percentile, within 1 % for values in range.
   *
   * @param percent above 0, up to 100
   * @returns seconds; NaN if nothing was recorded
   */
  percentile(percent: number): number {
    const rank = Math.ceil((percent / 100) * this.#count);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= rank && seen > 0) {
        const middle = LOWEST * GROWTH ** (bucket + 0.5);
        return Math.min(Math.max(middle, this.#min), this.#max);
      }
    }
    return NaN;
  }

  /** Returns a copy that later values don't change. */
  copy(): LatencyHistogram {
    return this.since(new LatencyHistogram());
  }

  /**
   * Returns the values recorded after `earlier`, a {@link copy} of this histogram. Minimum and maximum
   * stay those of all values.
   */
  since(earlier: LatencyHistogram): LatencyHistogram {
    const recent = new LatencyHistogram();
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      recent.#counts[bucket] = this.#counts[bucket]! - earlier.#counts[bucket]!;
    }
    recent.#count = this.#count - earlier.#count;
    recent.#sum = this.#sum - earlier.#sum;
    recent.#min = this.#min;
    recent.#max = this.#max;
    return recent;
  }
}
