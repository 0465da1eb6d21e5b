/**
 * Writes the protobuf format: messages of the type `io.prometheus.client.MetricFamily`, each after its
 * length. It is the only format that has native histograms and the times at which series start.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format
 * @see https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
 * @module
 */
import type { CollectionResult, ExponentialHistogram, Histogram } from "@opentelemetry/sdk-metrics";
import { type Family, FamilyCatalog, type LabelledValue } from "../families/families.ts";
import type { LabelSet } from "../families/labels.ts";
import type { ExpositionOptions } from "../families/options.ts";
import { nativeHistogram } from "./native-histogram.ts";
import type { SparseBuckets } from "./native-histogram.ts";
import { ProtobufWriter } from "./writer.ts";

const TYPES = { counter: 0, gauge: 1, histogram: 4 } as const;

/** The fields of `MetricFamily`. */
const FAMILY = { name: 1, help: 2, type: 3, metric: 4 } as const;
/** The fields of `Metric`. */
const METRIC = { label: 1, gauge: 2, counter: 3, histogram: 7 } as const;
/** The fields of `Histogram`. */
const HISTOGRAM = {
  count: 1,
  sum: 2,
  bucket: 3,
  schema: 5,
  zeroThreshold: 6,
  zeroCount: 7,
  negative: { span: 9, delta: 10 },
  positive: { span: 12, delta: 13 },
  createdTimestamp: 15,
} as const;
const COUNTER_CREATED_TIMESTAMP = 3;

/**
 * The width of the zero bucket. The specification sets it for exponential histograms without one. A
 * width of 0 would make Prometheus 2 read an empty histogram as a classic one.
 */
const ZERO_THRESHOLD = 1e-128;

/** The length of a chunk in bytes, after which the event loop may run. */
const CHUNK_LENGTH = 65_536;

const NOTHING = new Uint8Array(0);

/**
 * Writes families in slices of at least 64 KiB, so that the caller can let the event loop run in
 * between. Some slices are empty. The families are a snapshot: values recorded meanwhile do not
 * appear.
 *
 * @param families the families in the order of the output
 */
export function* renderProtobufSlices(families: Iterable<Family>): Generator<Uint8Array> {
  const writer = new ProtobufWriter();
  for (const family of families) {
    // The length of a family comes before it, so its metrics are encoded first.
    const chunks: Uint8Array[] = [];
    const values = family.values();
    let step = values.next();
    for (; !step.done; step = values.next()) yield NOTHING;
    if (step.value.length === 0) continue;
    for (const value of step.value) {
      const start = writer.startMessage(FAMILY.metric);
      writeMetric(writer, family, value);
      writer.endMessage(start);
      if (writer.length < CHUNK_LENGTH) continue;
      chunks.push(writer.take());
      yield NOTHING;
    }
    chunks.push(writer.take());
    writer.string(FAMILY.name, family.name);
    writer.string(FAMILY.help, family.help);
    writer.uint(FAMILY.type, TYPES[family.type]);
    const head = writer.take();
    writer.varint(chunks.reduce((length, chunk) => length + chunk.length, head.length));
    writer.raw(head);
    writer.raw(chunks[0]!);
    yield writer.take();
    for (const chunk of chunks.slice(1)) yield chunk;
  }
}

function writeMetric(writer: ProtobufWriter, { type }: Family, metric: LabelledValue): void {
  const { labels, value, startTime } = metric;
  writer.raw(labelBytes(labels));
  const start = writer.startMessage(METRIC[type]);
  if (typeof value === "number") {
    writer.double(1, value);
    if (type === "counter") writeTimestamp(writer, COUNTER_CREATED_TIMESTAMP, startTime);
  } else {
    writer.uint(HISTOGRAM.count, value.count);
    // The SDK has no sum for histograms of values that may be negative; Go writes 0.
    writer.double(HISTOGRAM.sum, value.sum ?? 0);
    if ("buckets" in value) writeClassic(writer, value);
    else writeNative(writer, value);
    writeTimestamp(writer, HISTOGRAM.createdTimestamp, startTime);
  }
  writer.endMessage(start);
}

/** The encoded labels of label sets, which stay the same from one scrape to the next. */
const encodedLabels = new WeakMap<LabelSet, Uint8Array>();
const labelWriter = new ProtobufWriter();

function labelBytes(labels: LabelSet): Uint8Array {
  const known = encodedLabels.get(labels);
  if (known !== undefined) return known;
  for (const [name, value] of labels.pairs) {
    const start = labelWriter.startMessage(METRIC.label);
    labelWriter.string(1, name);
    labelWriter.string(2, value);
    labelWriter.endMessage(start);
  }
  const bytes = labelWriter.take();
  encodedLabels.set(labels, bytes);
  return bytes;
}

/** Writes the buckets without `+Inf`, whose count is that of the histogram. */
function writeClassic(
  writer: ProtobufWriter,
  { buckets: { boundaries, counts } }: Histogram,
): void {
  let cumulative = 0;
  for (let i = 0; i < boundaries.length; i++) {
    cumulative += counts[i]!;
    const start = writer.startMessage(HISTOGRAM.bucket);
    writer.uint(1, cumulative);
    writer.double(2, boundaries[i]!);
    writer.endMessage(start);
  }
}

function writeNative(writer: ProtobufWriter, histogram: ExponentialHistogram): void {
  const { schema, positive, negative } = nativeHistogram(histogram);
  writer.sint(HISTOGRAM.schema, schema);
  writer.double(HISTOGRAM.zeroThreshold, ZERO_THRESHOLD);
  writer.uint(HISTOGRAM.zeroCount, histogram.zeroCount);
  writeBuckets(writer, HISTOGRAM.negative, negative);
  writeBuckets(writer, HISTOGRAM.positive, positive);
}

function writeBuckets(
  writer: ProtobufWriter,
  fields: { readonly span: number; readonly delta: number },
  { spans, deltas }: SparseBuckets,
): void {
  for (const { offset, length } of spans) {
    const start = writer.startMessage(fields.span);
    writer.sint(1, offset);
    writer.uint(2, length);
    writer.endMessage(start);
  }
  for (const delta of deltas) writer.sint(fields.delta, delta);
}

/** Writes a `google.protobuf.Timestamp`. */
function writeTimestamp(
  writer: ProtobufWriter,
  field: number,
  time: LabelledValue["startTime"],
): void {
  if (time === undefined) return;
  const [seconds, nanoseconds] = time;
  const start = writer.startMessage(field);
  writer.uint(1, seconds);
  writer.uint(2, nanoseconds);
  writer.endMessage(start);
}

/**
 * Writes collected metrics in Prometheus' protobuf format, as client_golang does: one message of the
 * type `io.prometheus.client.MetricFamily` for each name, after its length. Exponential histograms
 * become native histograms. Otherwise like {@linkcode renderPrometheusText}.
 *
 * @param collected the result of a reader's `collect()`, with cumulative temporality
 * @param options what to show; names of other characters are not escaped
 * @throws {RangeError} if an option is invalid
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format
 */
export function renderProtobuf(
  { resourceMetrics }: Pick<CollectionResult, "resourceMetrics">,
  options?: ExpositionOptions,
): Uint8Array {
  const writer = new ProtobufWriter();
  const catalog = new FamilyCatalog(undefined, options);
  for (const slice of renderProtobufSlices(catalog.families(resourceMetrics))) {
    writer.raw(slice);
  }
  return writer.take();
}
