/**
 * Limits the number of series of an instrument, whatever labels the application and its peers use.
 * The SDK's own limit applies between two collections only: it keeps all series that it collected
 * cumulatively, without a limit.
 *
 * @module
 */
import type { Attributes, Meter } from "@opentelemetry/api";
import { isWellFormed, wellFormed } from "../../log/well-formed.ts";
import { shared } from "../shared-state.ts";
import { withMethods } from "../replace-method.ts";
import { warnOnce } from "../warning.ts";

/**
 * The SDK has a limit of 2000 by default (OpenTelemetry metrics SDK). It takes one off for the
 * overflow series, and counts that again once the series has a value.
 */
export const MAX_LABEL_SETS = 1998;

/** The labels of values over the cardinality limit (OpenTelemetry metrics SDK). */
export const OVERFLOW: Attributes = { "otel.metric.overflow": true };

/** The label sets of each metric, as JSON, by the meter that creates its instruments. */
const metrics = shared("labelSets", () => new WeakMap<Meter, Map<string, Set<string>>>());
/** The same sets by instrument. Plugins that share a meter have their own instruments. */
const labelSets = new WeakMap<object, Set<string>>();
/** The labels that an application gives to all series of an instrument. */
const constants = new WeakMap<object, Attributes>();

/**
 * Limits a metric to 1998 label sets and the overflow series, and gives its series labels that the
 * application chose.
 *
 * @param constant The labels that all series have in addition to their own.
 * @returns The instrument, or a stand-in for one that the meter has given to another plugin too.
 */
export function limited<T extends object>(
  created: T,
  name: string,
  meter: Meter,
  constant?: Attributes,
): T {
  const instrument = labelSets.has(created) ? withMethods(created, {}) : created;
  if (constant !== undefined) constants.set(instrument, constant);
  const metricsOfMeter = metrics.get(meter) ?? new Map<string, Set<string>>();
  metrics.set(meter, metricsOfMeter);
  const known = metricsOfMeter.get(name) ?? new Set<string>();
  metricsOfMeter.set(name, known);
  labelSets.set(instrument, known);
  return instrument;
}

/**
 * Returns an object that stands for the metric of an instrument. Plugins that share a meter have
 * their own instruments and the same metrics.
 *
 * @returns Undefined if the metric is off.
 */
export function metricOf(instrument: object): object | undefined {
  return labelSets.get(instrument);
}

/**
 * Returns the labels to record with: those given and those of the application, with lone halves of
 * characters replaced, or those of the overflow series once the metric is at its limit. Warns once
 * for all metrics.
 *
 * @param given The labels. Their names must have the same order for all values of an instrument.
 */
export function withinLimit(
  instrument: object,
  given: Attributes,
): Attributes {
  const constant = constants.get(instrument);
  const attributes = wellFormedLabels(constant === undefined ? given : { ...constant, ...given });
  const known = labelSets.get(instrument);
  if (known === undefined) return attributes;
  const labels = JSON.stringify(attributes);
  if (known.has(labels)) return attributes;
  if (known.size < MAX_LABEL_SETS) {
    known.add(labels);
    return attributes;
  }
  warnOnce(
    `gRPC metrics have too many series: a metric has ${MAX_LABEL_SETS} sets of labels. Further sets ` +
      'share one series with the label otel.metric.overflow="true". Set methodAttributeFilter ' +
      "or targetAttributeFilter, or use fewer optional labels",
  );
  return OVERFLOW;
}

/**
 * Replaces lone halves of characters, which a custom label that was cut in the middle of an emoji has.
 * Label sets that differ only there share one series, as they do in the UTF-8 that leaves.
 */
function wellFormedLabels(attributes: Attributes): Attributes {
  const isBroken = (value: unknown) => typeof value === "string" && !isWellFormed(value);
  if (!Object.values(attributes).some(isBroken)) return attributes;
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      typeof value === "string" ? wellFormed(value) : value,
    ]),
  );
}
