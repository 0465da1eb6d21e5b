/** A closed range. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The share of cases in which a 95 % interval may lie below the true value, or above it. */
const TAIL = 0.025;

/**
 * Returns the 95 % confidence interval of the median. Its ends are samples: the number of samples
 * below the true median follows the binomial distribution, however the samples are distributed.
 *
 * @returns Undefined for fewer than 6 samples: even their whole range has less confidence then.
 */
export function medianInterval(samples: readonly number[]): Interval | undefined {
  const sorted = samples.toSorted((a, b) => a - b);
  const count = sorted.length;
  let left = -1;
  let share = 0;
  // The share of cases in which exactly `left + 1` samples fall below the true median.
  let next = 0.5 ** count;
  while (share + next <= TAIL && left < count) {
    left++;
    share += next;
    next *= (count - left) / (left + 1);
  }
  if (left < 0) return undefined;
  return { low: sorted[left]!, high: sorted[count - 1 - left]! };
}
