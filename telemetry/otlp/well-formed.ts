/**
 * Replaces lone halves of characters in what is exported, as `/metrics` does. JSON would send them as
 * escapes, and UTF-8 as U+FFFD, so that two different label sets could arrive as the same series.
 *
 * @module
 */
import { type Attributes, diag } from "@opentelemetry/api";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { DataPoint, MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { isWellFormed, wellFormed } from "../../log/well-formed.ts";

/** Replacements of objects that the SDK passes in every export. */
const replaced = new WeakMap<object, object>();

/**
 * Returns metrics in which all texts are well-formed; the same object if they were. Of several data
 * points whose attributes become equal, only the first is kept, with a warning.
 */
export function wellFormedMetrics(collected: ResourceMetrics): ResourceMetrics {
  const resource = wellFormedResource(collected.resource);
  const scopeMetrics = mapped(collected.scopeMetrics, (scopeMetrics) => {
    const scope = replacedOnce(scopeMetrics.scope);
    const metrics = mapped(scopeMetrics.metrics, wellFormedMetric);
    const isSame = scope === scopeMetrics.scope && metrics === scopeMetrics.metrics;
    return isSame ? scopeMetrics : { scope, metrics };
  });
  const isSame = resource === collected.resource && scopeMetrics === collected.scopeMetrics;
  return isSame ? collected : { resource, scopeMetrics };
}

/** Returns spans in which all texts are well-formed; the same array if they were. */
export function wellFormedSpans(spans: ReadableSpan[]): ReadableSpan[] {
  return mapped(spans, wellFormedSpan);
}

function wellFormedMetric(metric: MetricData): MetricData {
  const descriptor = replacedOnce(metric.descriptor);
  const points: readonly DataPoint<unknown>[] = metric.dataPoints;
  const dataPoints = mapped([...points], (point) => {
    const attributes = replacedOnce(point.attributes);
    return attributes === point.attributes ? point : { ...point, attributes };
  });
  const isSame = dataPoints.every((point, index) => point === points[index]);
  if (isSame && descriptor === metric.descriptor) return metric;
  const unique = isSame ? points : withoutDuplicates(dataPoints, descriptor.name);
  return { ...metric, descriptor, dataPoints: unique } as MetricData;
}

function withoutDuplicates<T extends { readonly attributes: Attributes }>(
  points: readonly T[],
  metric: string,
): T[] {
  const unique = new Map<string, T>();
  for (const point of points) {
    const entries = Object.entries(point.attributes).sort(([a], [b]) => a < b ? -1 : 1);
    const key = JSON.stringify(entries);
    if (!unique.has(key)) unique.set(key, point);
  }
  if (unique.size < points.length) {
    diag.warn(
      `The metric ${metric} of some attributes is not exported: their labels are not unique`,
    );
  }
  return [...unique.values()];
}

/** The parts of a span that hold texts of the application. */
const TEXTS = ["name", "attributes", "events", "links", "status"] as const;

function wellFormedSpan(span: ReadableSpan): ReadableSpan {
  const changed: PropertyDescriptorMap = {};
  for (const part of TEXTS) {
    if (isBroken(span[part])) changed[part] = { value: repaired(span[part]) };
  }
  // Spans that share these objects are grouped in an export.
  const resource = wellFormedResource(span.resource);
  if (resource !== span.resource) changed["resource"] = { value: resource };
  const instrumentationScope = replacedOnce(span.instrumentationScope);
  if (instrumentationScope !== span.instrumentationScope) {
    changed["instrumentationScope"] = { value: instrumentationScope };
  }
  return Object.keys(changed).length === 0 ? span : Object.create(span, changed);
}

function wellFormedResource(resource: Resource): Resource {
  const known = replaced.get(resource);
  if (known !== undefined) return known as Resource;
  const { attributes, schemaUrl } = resource;
  const result = isBroken(attributes)
    ? resourceFromAttributes(repaired(attributes) as Attributes, schemaUrl ? { schemaUrl } : {})
    : resource;
  replaced.set(resource, result);
  return result;
}

/** Returns the same replacement for an object each time, so that it is searched only once. */
function replacedOnce<T extends object>(value: T): T {
  const known = replaced.get(value);
  if (known !== undefined) return known as T;
  const result = isBroken(value) ? repaired(value) as T : value;
  replaced.set(value, result);
  return result;
}

/** Returns the same array if no element changes. */
function mapped<T>(values: T[], map: (value: T) => T): T[] {
  const results = values.map(map);
  return results.every((result, index) => result === values[index]) ? values : results;
}

/** Searches without allocating: a batch of spans has many thousands of texts. */
function isBroken(value: unknown): boolean {
  if (typeof value === "string") return !isWellFormed(value);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  if (Array.isArray(value)) return value.some(isBroken);
  for (const key in value) {
    if (!isWellFormed(key) || isBroken((value as Record<string, unknown>)[key])) return true;
  }
  return false;
}

function repaired(value: unknown): unknown {
  if (!isBroken(value)) return value;
  if (typeof value === "string") return wellFormed(value);
  if (Array.isArray(value)) return value.map(repaired);
  const entries = Object.entries(value as object);
  return Object.fromEntries(entries.map(([key, entry]) => [wellFormed(key), repaired(entry)]));
}
