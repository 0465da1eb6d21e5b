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
  /** One value for each round, or for each window in the quick form. */
  readonly samples: readonly number[];
  /** Missing for figures that are only for comparison. */
  readonly goal?: Goal;
  readonly passed?: boolean;
}

/** The unit of a figure; empty for ratios. */
export type Unit = "" | "%" | "ms" | "us" | "MB" | "calls/s";

/**
 * Creates a figure from samples.
 *
 * @param goal The range for the median, including its bounds.
 */
export function figure(
  description: Pick<Figure, "what" | "of" | "unit">,
  samples: readonly number[],
  goal?: Goal,
): Figure {
  const value = median(samples);
  const figure = {
    ...description,
    median: value,
    min: Math.min(...samples),
    max: Math.max(...samples),
    samples,
  };
  if (goal === undefined) return figure;
  const { atLeast = -Infinity, atMost = Infinity } = goal;
  return { ...figure, goal, passed: value >= atLeast && value <= atMost };
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
