/**
 * Bounds how many series an instrument can have, whatever labels the application or a peer comes up
 * with. The SDK's own limit holds for the time between two collections alone: what was collected
 * cumulatively it keeps for ever, without a limit.
 */
import type { Attributes, Meter } from "@opentelemetry/api";
import { warnOnce } from "../warning.ts";

/** Together with the overflow as many as the SDK's default limit (OpenTelemetry metrics SDK). */
const MAX_LABEL_SETS = 1999;

/** The labels of values beyond a limit of cardinality (OpenTelemetry metrics SDK). */
const OVERFLOW: Attributes = { "otel.metric.overflow": true };

/** The label sets that a metric has, as text, for each meter that makes its instruments. */
const metrics = new WeakMap<Meter, Map<string, Set<string>>>();
/** The same for each instrument: plugins of one meter have instruments of their own. */
const labelSets = new WeakMap<object, Set<string>>();

/** Limits a metric to 1999 label sets, and one for all others together; returns its instrument. */
export function limited<T extends object>(
  instrument: T,
  name: string,
  meter: Meter,
): T {
  const ofMeter = metrics.get(meter) ?? new Map<string, Set<string>>();
  metrics.set(meter, ofMeter);
  const known = ofMeter.get(name) ?? new Set<string>();
  ofMeter.set(name, known);
  labelSets.set(instrument, known);
  return instrument;
}

/**
 * The labels to record under: those given, or those of the overflow once a limited metric has as many
 * label sets as it may. The first time that is told to whoever runs the program.
 *
 * @param attributes For one instrument always with their names in the same order.
 */
export function withinLimit(
  instrument: object,
  attributes: Attributes,
): Attributes {
  const known = labelSets.get(instrument);
  if (known === undefined) return attributes;
  const labels = JSON.stringify(attributes);
  if (known.has(labels)) return attributes;
  if (known.size < MAX_LABEL_SETS) {
    known.add(labels);
    return attributes;
  }
  warnOnce(
    `gRPC metrics have too many series: a metric has ${MAX_LABEL_SETS} sets of labels. From now on ` +
      'others are counted together, with the label otel.metric.overflow="true". Give ' +
      "methodAttributeFilter, targetAttributeFilter, or fewer custom labels",
  );
  return OVERFLOW;
}
