import { median } from "./statistics.ts";

/** What a figure has to be. */
export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One line of the result. */
export interface Figure {
  /** What was measured. */
  readonly what: string;
  /** The runtime or the peer. */
  readonly of: string;
  readonly unit: Unit;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Each round's figure, or each window's in the quick form. */
  readonly samples: readonly number[];
  /** Missing where the figure is there for comparison only. */
  readonly goal?: Goal;
  readonly passed?: boolean;
}

/** A ratio has none. */
export type Unit = "" | "%" | "ms" | "us" | "MB" | "calls/s";

/**
 * Makes a figure of samples. What counts is the median.
 *
 * @param goal its bounds belong to it
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
