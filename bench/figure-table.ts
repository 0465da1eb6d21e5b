import type { Figure, Goal, Unit } from "./measure/figure.ts";
import type { Interval } from "./measure/interval.ts";

const HEADINGS = [
  ...["what", "of", "goal", "median", "95 % interval", "min to max"],
  ...["noise: median", "95 % interval", ""],
];

/** Formats figures as a text table with aligned columns. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(cells)];
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => {
    return row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd();
  }).join("\n");
}

function cells(
  { what, of, goal, unit, median, interval, min, max, noise, passed }: Figure,
): string[] {
  return [
    what,
    of,
    goal === undefined ? "" : goalText(goal, unit),
    format(median, unit),
    rangeText(interval, unit),
    rangeText({ low: min, high: max }, unit),
    noise === undefined ? "" : format(noise.median, unit),
    rangeText(noise?.interval, unit),
    passed === undefined ? "" : passed ? "pass" : "FAIL",
  ];
}

function goalText({ atLeast, atMost }: Goal, unit: Unit): string {
  return [
    atLeast === undefined ? "" : `>= ${format(atLeast, unit)}`,
    atMost === undefined ? "" : `<= ${format(atMost, unit)}`,
  ].join(" ").trim();
}

function rangeText(range: Interval | undefined, unit: Unit): string {
  return range === undefined ? "" : `${format(range.low, unit)} to ${format(range.high, unit)}`;
}

function format(value: number, unit: Unit): string {
  const digits = unit === "" ? 3 : unit === "calls/s" ? 0 : 1;
  return `${value.toFixed(value >= 10 && unit === "" ? 1 : digits)}${unit && ` ${unit}`}`;
}
