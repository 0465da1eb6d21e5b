/**
 * Reads Prometheus text format 0.0.4.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 * @module
 */

/** Labels by name, without escapes. */
export type Labels = ReadonlyMap<string, string>;

const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/**
 * Returns the series of a line as it is printed, `name{labels}`; empty for comments and other lines
 * without a sample.
 */
export function seriesOf(line: string): string {
  if (line.startsWith("#")) return "";
  // Label values may hold blanks, but no blank follows the last one.
  const end = line.lastIndexOf(" ");
  // A part of a string keeps the whole text in memory. A new string does not.
  return end > 0 ? line.slice(0, 1) + line.slice(1, end) : "";
}

/** Returns the name of a printed series. */
export function nameOf(series: string): string {
  const brace = series.indexOf("{");
  return brace < 0 ? series : series.slice(0, brace);
}

/** Returns the labels of a printed series. */
export function labelsOf(series: string): Labels {
  const labels = new Map<string, string>();
  for (const [, name = "", value = ""] of series.matchAll(LABEL)) {
    labels.set(name, value.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char));
  }
  return labels;
}

/** Returns the number of a value or of a bucket's bound, such as `1e-05`, `+Inf` or `NaN`. */
export function parseNumber(text: string): number {
  return Number(text.replace("Inf", "Infinity"));
}
