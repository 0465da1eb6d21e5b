/**
 * The names that every Prometheus knows. Names with other characters stand in quotes, or are escaped.
 *
 * @see https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
 * @module
 */

/** Returns whether a metric name needs neither quotes nor escaping. */
export function isPlainMetricName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

/** Returns whether a label name needs neither quotes nor escaping. */
export function isPlainLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}
