/**
 * Numbers as client_golang prints them. Prometheus 2.x keeps series whose `le` is spelled
 * differently apart, so a bound has to have the same spelling on every path.
 *
 * @module
 */

/** Go's `%g` leaves the decimal notation outside of [1e-4, 1e6); JavaScript outside of [1e-6, 1e21). */
const SMALLEST_DECIMAL = 1e-4;
const SMALLEST_EXPONENT = 1e6;

/**
 * Formats a value or a `le` bound for text format 0.0.4: Go's
 * `strconv.FormatFloat(value, 'g', -1, 64)`, zero without a sign, infinity with one.
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
 * Formats a value or a `le` bound for OpenMetrics 1.0: as {@linkcode formatFloat}, but never
 * looking like an integer.
 *
 * @param value any number, NaN and infinities included
 * @returns for example `0.0`, `100.0`, `1e+06`, `+Inf`
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/#numbers
 */
export function formatOpenMetricsFloat(value: number): string {
  const text = formatFloat(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}
