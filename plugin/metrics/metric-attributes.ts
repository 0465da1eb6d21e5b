import type { Attributes } from "@opentelemetry/api";

/** The labels that an application gives to all metrics of a plugin. */
export type MetricAttributes = Readonly<Record<string, string | number | boolean>>;

/** How the names of the plugin's own labels begin. */
const OWN = "grpc.";

/** The label of values over the cardinality limit (OpenTelemetry metrics SDK). */
const OVERFLOW = "otel.metric.overflow";

/**
 * Checks the labels of the option `metricAttributes`.
 *
 * @returns A copy, or undefined if there are none.
 * @throws {RangeError} If a name is empty or belongs to the plugin, or if a value has another type than
 * allowed.
 */
export function checkedAttributes(given: MetricAttributes): Attributes | undefined {
  const entries = Object.entries(given);
  for (const [name, value] of entries) {
    if (name === "" || name.startsWith(OWN) || name === OVERFLOW) {
      throw new RangeError(
        `metricAttributes: "${name}" must be a name that is not empty, does not begin with ` +
          `${OWN} and is not ${OVERFLOW}; those labels are set by the plugin`,
      );
    }
    if (!isAllowed(value)) {
      throw new RangeError(
        `metricAttributes: the value of "${name}" must be a string, a finite number or a boolean`,
      );
    }
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function isAllowed(value: unknown): boolean {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}
