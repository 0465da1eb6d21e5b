import { medianInterval } from "./interval.ts";
import type { Interval } from "./interval.ts";

/** The range that a figure should be in. */
export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One line of the results. */
export interface Figure {
  /** What was measured. */
  readonly what: string;
  /** The runtime or the peer. */
  readonly of: string;
  readonly unit: Unit;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Where the median of more and more samples would lie, with 95 % confidence; needs 6 samples. */
  readonly interval?: Interval;
  /** The same figure of two sides that do not differ. A difference within its interval is noise. */
  readonly noise?: Noise;
  /** One value for each round, or for each window in the quick form. */
  readonly samples: readonly number[];
  /** Missing for figures that are only for comparison. */
  readonly goal?: Goal;
  readonly passed?: boolean;
}

/** The noise of a figure. */
export interface Noise {
  readonly median: number;
  readonly interval?: Interval;
  readonly samples: readonly number[];
}

/** The unit of a figure; empty for ratios. */
export type Unit = "" | "%" | "ms" | "us" | "MB" | "MB/h" | "calls/s";

/**
 * Creates a figure from samples.
 *
 * @param goal The range for the median, including its bounds.
 * @param noise Samples of the same figure for two sides that do not differ.
 */
export function figure(
  description: Pick<Figure, "what" | "of" | "unit">,
  samples: readonly number[],
  goal?: Goal,
  noise?: readonly number[],
): Figure {
  const { median: value, interval } = middle(samples);
  const figure = {
    ...description,
    median: value,
    min: Math.min(...samples),
    max: Math.max(...samples),
    ...(interval && { interval }),
    ...(noise && { noise: { ...middle(noise), samples: noise } }),
    samples,
  };
  if (goal === undefined) return figure;
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  return { ...figure, goal, passed: value >= atLeast && value <= atMost };
}

function middle(samples: readonly number[]) {
  const interval = medianInterval(samples);
  return { median: median(samples), ...(interval && { interval }) };
}

/** Returns the median of the values; NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

/** Returns the ratio of each numerator to the denominator at the same index. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.map((numerator, index) => numerator / denominators[index]!);
}
