import type { Figure, Unit } from "./figure.ts";
import { median } from "./figure.ts";

/** The quantile of the normal distribution for an interval of 95 %. */
const Z = 1.96;

/**
 * Creates a figure of how fast a value rises: the median of the slopes between all pairs of points
 * (Theil and Sen), with its 95 % confidence interval by Kendall's rank correlation. A few outliers
 * do not change it.
 *
 * The figure passes unless the value surely rises, which is when the whole interval is above 0.
 *
 * @param values Values at equal distances.
 * @param distance The distance between two values, in the unit of time of the slope.
 */
export function slopeFigure(
  description: { readonly what: string; readonly of: string; readonly unit: Unit },
  values: readonly number[],
  distance: number,
): Figure {
  const slopes = values.flatMap((first, i) =>
    values.slice(i + 1).map((second, j) => (second - first) / ((j + 1) * distance))
  ).sort((a, b) => a - b);
  const count = values.length;
  const spread = Z * Math.sqrt(count * (count - 1) * (2 * count + 5) / 18);
  const margin = Math.max(0, Math.floor((slopes.length - spread) / 2) - 1);
  const interval = { low: slopes[margin]!, high: slopes[slopes.length - 1 - margin]! };
  return {
    ...description,
    median: median(slopes),
    interval,
    min: slopes[0]!,
    max: slopes.at(-1)!,
    samples: values,
    goal: { atMost: 0 },
    passed: interval.low <= 0,
  };
}
