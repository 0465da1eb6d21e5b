import type { Figure, Goal, Unit } from "./measure/figure.ts";

const HEADINGS = ["what", "of", "goal", "median", "min to max", ""];

/** Formats figures as a text table with aligned columns. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(cells)];
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => {
    return row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd();
  }).join("\n");
}

function cells({ what, of, goal, unit, median, min, max, passed }: Figure): string[] {
  return [
    what,
    of,
    goal === undefined ? "" : goalText(goal, unit),
    format(median, unit),
    `${format(min, unit)} to ${format(max, unit)}`,
    passed === undefined ? "" : passed ? "pass" : "FAIL",
  ];
}

function goalText({ atLeast, atMost }: Goal, unit: Unit): string {
  return [
    atLeast === undefined ? "" : `>= ${format(atLeast, unit)}`,
    atMost === undefined ? "" : `<= ${format(atMost, unit)}`,
  ].join(" ").trim();
}

function format(value: number, unit: Unit): string {
  const digits = unit === "" ? 3 : unit === "calls/s" ? 0 : 1;
  return `${value.toFixed(value >= 10 && unit === "" ? 1 : digits)}${unit && ` ${unit}`}`;
}
