/**
 * Formats numbers as client_golang does. In Prometheus 2.x, two spellings of a bound in `le` are two
 * time series, so a bound must have the same spelling wherever it comes from.
 *
 * @module
 */

/** Go's `%g` uses decimal notation in [1e-4, 1e6), JavaScript in [1e-6, 1e21). */
const SMALLEST_DECIMAL = 1e-4;
const SMALLEST_EXPONENT = 1e6;

/**
 * Formats a value or a `le` bound for text format 0.0.4, as Go's
 * `strconv.FormatFloat(value, 'g', -1, 64)` does, with zero unsigned and infinity signed.
 *
 * @param value any number, NaN and infinities included
 * @returns for example `0.005`, `1e-05`, `1.048576e+06`, `+Inf`
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
 */
export function formatFloat(value: number): string {
  const size = Math.abs(value);
  if (size >= SMALLEST_DECIMAL && size < SMALLEST_EXPONENT) return String(value);
  if (size === 0) return "0";
  if (size === Infinity) return value > 0 ? "+Inf" : "-Inf";
  if (Number.isNaN(value)) return "NaN";
  const text = value.toExponential();
  // Go pads the exponent to two digits.
  const digits = text.length - text.lastIndexOf("e") - 2;
  return digits > 1 ? text : `${text.slice(0, -1)}0${text.slice(-1)}`;
}

/**
 * Formats a value or a `le` bound for OpenMetrics 1.0: like {@linkcode formatFloat}, but integers
 * get a fraction or an exponent.
 *
 * @param value any number, NaN and infinities included
 * @returns for example `0.0`, `100.0`, `1e+06`, `+Inf`
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/#numbers
 */
export function formatOpenMetricsFloat(value: number): string {
  const text = formatFloat(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}
