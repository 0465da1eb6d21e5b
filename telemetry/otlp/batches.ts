/**
 * Splits exports by bytes. A number of points or spans does not bound them: labels can be long, and a
 * span has up to 128 events.
 *
 * The sizes are estimated from above: they are those of JSON, which needs more bytes than protobuf.
 *
 * @module
 */
import type { Attributes } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type {
  DataPoint,
  ExponentialHistogram,
  Histogram,
  MetricData,
  ResourceMetrics,
  ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { Buffer } from "node:buffer";

/**
 * The largest export, in bytes. A gRPC server takes 4 MiB by default and the Collector's HTTP server
 * 20 MiB, but nginx before it only 1 MiB.
 */
export const MAX_EXPORT_BYTES = 1024 * 1024;

// What JSON needs besides texts and attributes.
const ATTRIBUTE_BYTES = 42;
const NUMBER_BYTES = 24;
const POINT_BYTES = 160;
const HISTOGRAM_BYTES = 160;
/** A count and a bound. */
const BUCKET_BYTES = 20;
const HEADER_BYTES = 160;
const SPAN_BYTES = 480;
const EVENT_BYTES = 96;
const LINK_BYTES = 200;

/** Sizes of attributes that the SDK passes in every export. */
const known = new WeakMap<Attributes, number>();

/** Returns how many bytes an export of metrics has at most. */
export function metricsBytes({ resource, scopeMetrics }: ResourceMetrics): number {
  let bytes = resourceBytes(resource);
  for (const { scope, metrics } of scopeMetrics) {
    bytes += scopeBytes(scope);
    for (const metric of metrics) {
      bytes += metricBytes(metric);
      for (const point of metric.dataPoints) bytes += pointBytes(point);
    }
  }
  return bytes;
}

/**
 * Splits metrics into exports of at most that many bytes, each with the resource and the scopes of its
 * points. A single point that is larger makes an export of its own.
 */
export function splitMetrics(whole: ResourceMetrics, maxBytes: number): ResourceMetrics[] {
  if (metricsBytes(whole) <= maxBytes) return [whole];
  const { resource } = whole;
  const batches: ResourceMetrics[] = [];
  let bytes = Infinity;
  let scopeMetrics: ScopeMetrics[] = [];
  for (const { scope, metrics } of whole.scopeMetrics) {
    let part: ScopeMetrics | undefined;
    for (const metric of metrics) {
      let points: DataPoint<unknown>[] | undefined;
      for (const point of metric.dataPoints) {
        const size = pointBytes(point);
        const headers = (part ? 0 : scopeBytes(scope)) + (points ? 0 : metricBytes(metric));
        if (bytes + headers + size > maxBytes) {
          batches.push({ resource, scopeMetrics: scopeMetrics = [] });
          bytes = resourceBytes(resource);
          part = points = undefined;
        }
        if (part === undefined) {
          scopeMetrics.push(part = { scope, metrics: [] });
          bytes += scopeBytes(scope);
        }
        if (points === undefined) {
          part.metrics.push({ ...metric, dataPoints: points = [] } as MetricData);
          bytes += metricBytes(metric);
        }
        points.push(point);
        bytes += size;
      }
    }
  }
  return batches;
}

/** Returns how many bytes an export of spans has at most. */
export function spansBytes(spans: readonly ReadableSpan[]): number {
  return spans.reduce((bytes, span) => bytes + spanBytes(span), batchBytes(spans));
}

/**
 * Splits spans into exports of at most that many bytes. A single span that is larger makes an export
 * of its own.
 */
export function splitSpans(spans: ReadableSpan[], maxBytes: number): ReadableSpan[][] {
  const start = batchBytes(spans);
  const batches: ReadableSpan[][] = [[]];
  let bytes = start;
  for (const span of spans) {
    const size = spanBytes(span);
    if (bytes + size > maxBytes && bytes > start) {
      batches.push([]);
      bytes = start;
    }
    batches.at(-1)!.push(span);
    bytes += size;
  }
  return batches.length === 1 ? [spans] : batches;
}

/** All spans of a provider have the same resource. */
function batchBytes([first]: readonly ReadableSpan[]): number {
  return first === undefined ? 0 : resourceBytes(first.resource);
}

function resourceBytes({ attributes, schemaUrl }: Resource): number {
  return HEADER_BYTES + attributesBytes(attributes) + textBytes(schemaUrl);
}

function scopeBytes(scope: ScopeMetrics["scope"]): number {
  return HEADER_BYTES + textBytes(scope.name) + textBytes(scope.version) +
    textBytes(scope.schemaUrl);
}

function metricBytes({ descriptor }: MetricData): number {
  const { name, description, unit } = descriptor;
  return HEADER_BYTES + textBytes(name) + textBytes(description) + textBytes(unit);
}

function pointBytes({ attributes, value }: DataPoint<unknown>): number {
  let bytes = known.get(attributes);
  if (bytes === undefined) {
    bytes = POINT_BYTES + attributesBytes(attributes);
    known.set(attributes, bytes);
  }
  if (typeof value === "number") return bytes;
  return bytes + HISTOGRAM_BYTES +
    BUCKET_BYTES * bucketCount(value as Histogram | ExponentialHistogram);
}

function bucketCount(value: Histogram | ExponentialHistogram): number {
  if ("buckets" in value) return value.buckets.counts.length;
  return value.positive.bucketCounts.length + value.negative.bucketCounts.length;
}

function spanBytes(span: ReadableSpan): number {
  let bytes = SPAN_BYTES + textBytes(span.name) + textBytes(span.status.message) +
    attributesBytes(span.attributes) + scopeBytes(span.instrumentationScope) +
    textBytes(span.spanContext().traceState?.serialize());
  for (const { name, attributes } of span.events) {
    bytes += EVENT_BYTES + textBytes(name) + attributesBytes(attributes);
  }
  for (const { context, attributes } of span.links) {
    bytes += LINK_BYTES + textBytes(context.traceState?.serialize()) + attributesBytes(attributes);
  }
  return bytes;
}

function attributesBytes(attributes: object | undefined): number {
  let bytes = 0;
  for (const key in attributes) {
    const value = (attributes as Record<string, unknown>)[key];
    bytes += ATTRIBUTE_BYTES + Buffer.byteLength(key) + valueBytes(value);
  }
  return bytes;
}

function valueBytes(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (value instanceof Uint8Array) return value.length * 4 / 3;
  return typeof value === "object" ? attributesBytes(value ?? {}) : NUMBER_BYTES;
}

function textBytes(text: string | undefined): number {
  return text === undefined ? 0 : Buffer.byteLength(text);
}
