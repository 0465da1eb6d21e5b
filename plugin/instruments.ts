import { createNoopMeter } from "@opentelemetry/api";
import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import type { ExchangeHistograms } from "./exchange.ts";

/** Bucket bounds of every latency histogram, in seconds (gRFC A66). */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = [
  0,
  0.00001,
  0.00005,
  0.0001,
  0.0003,
  0.0006,
  0.0008,
  0.001,
  0.002,
  0.003,
  0.004,
  0.005,
  0.006,
  0.008,
  0.01,
  0.013,
  0.016,
  0.02,
  0.025,
  0.03,
  0.04,
  0.05,
  0.065,
  0.08,
  0.1,
  0.13,
  0.16,
  0.2,
  0.25,
  0.3,
  0.4,
  0.5,
  0.65,
  0.8,
  1,
  2,
  5,
  10,
  20,
  50,
  100,
];

/** Bucket bounds of every size histogram, in bytes (gRFC A66). */
export const SIZE_BOUNDS_BYTES: readonly number[] = [
  0,
  1024,
  2048,
  4096,
  16384,
  65536,
  262144,
  1048576,
  4194304,
  16777216,
  67108864,
  268435456,
  1073741824,
  4294967296,
];

/** What one instrument is called, what it measures, and whether it is on when nobody says so. */
interface MetricDefinition {
  readonly kind: "counter" | "histogram";
  readonly unit: string;
  readonly description: string;
  readonly bounds?: readonly number[];
  readonly onByDefault: boolean;
}

function counter(unit: string, description: string): MetricDefinition {
  return { kind: "counter", unit, description, onByDefault: true };
}

function latency(description: string): MetricDefinition {
  return {
    kind: "histogram",
    unit: "s",
    description,
    bounds: LATENCY_BOUNDS_SECONDS,
    onByDefault: true,
  };
}

function size(description: string): MetricDefinition {
  return {
    kind: "histogram",
    unit: "By",
    description,
    bounds: SIZE_BOUNDS_BYTES,
    onByDefault: true,
  };
}

/** Every metric that the plugin can record, by name; descriptions are those of grpc-go. */
const METRICS = {
  "grpc.client.attempt.started": counter(
    "{attempt}",
    "Number of client call attempts started.",
  ),
  "grpc.client.attempt.duration": latency(
    "End-to-end time taken to complete a client call attempt.",
  ),
  "grpc.client.attempt.sent_total_compressed_message_size": size(
    "Compressed message bytes sent per client call attempt.",
  ),
  "grpc.client.attempt.rcvd_total_compressed_message_size": size(
    "Compressed message bytes received per call attempt.",
  ),
  "grpc.client.call.duration": latency(
    "Time taken by gRPC to complete an RPC from application's perspective.",
  ),
  "grpc.server.call.started": counter("{call}", "Number of server calls started."),
  "grpc.server.call.duration": latency(
    "End-to-end time taken to complete a call from server transport's perspective.",
  ),
  "grpc.server.call.sent_total_compressed_message_size": size(
    "Compressed message bytes sent per server call.",
  ),
  "grpc.server.call.rcvd_total_compressed_message_size": size(
    "Compressed message bytes received per server call.",
  ),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** The names of all metrics that the plugin can record. */
export const METRIC_NAMES: readonly MetricName[] = Object.keys(METRICS) as MetricName[];

/** The instruments that the plugin records to; one that is switched off records nowhere. */
export interface Instruments {
  readonly clientAttemptStarted: Counter;
  readonly clientAttempt: ExchangeHistograms;
  readonly clientCallDuration: Histogram;
  readonly serverCallStarted: Counter;
  readonly serverCall: ExchangeHistograms;
}

/**
 * Which metrics are on: the defaults of gRFC A66, plus `enable`, minus `disable`.
 *
 * @throws {RangeError} for a name that is no metric of this plugin; the message lists those that are.
 */
export function selectMetrics(
  enable: readonly string[],
  disable: readonly string[],
): ReadonlySet<MetricName> {
  const selected = new Set(METRIC_NAMES.filter((name) => METRICS[name].onByDefault));
  for (const name of enable) selected.add(knownMetric("enableMetrics", name));
  for (const name of disable) selected.delete(knownMetric("disableMetrics", name));
  return selected;
}

function knownMetric(option: string, name: string): MetricName {
  if (Object.hasOwn(METRICS, name)) return name as MetricName;
  throw new RangeError(
    `${option}: "${name}" is not a metric of this plugin; known are ${METRIC_NAMES.join(", ")}`,
  );
}

/** Creates on `meter` the instruments that `selected` names; the others are no-ops. */
export function createInstruments(meter: Meter, selected: ReadonlySet<MetricName>): Instruments {
  const noop = createNoopMeter();

  function createCounter(name: MetricName): Counter {
    const { unit, description } = METRICS[name];
    return (selected.has(name) ? meter : noop).createCounter(name, { unit, description });
  }

  function createHistogram(name: MetricName): Histogram {
    const { unit, description, bounds }: MetricDefinition = METRICS[name];
    return (selected.has(name) ? meter : noop).createHistogram(name, {
      unit,
      description,
      advice: { explicitBucketBoundaries: [...(bounds ?? [])] },
    });
  }

  return {
    clientAttemptStarted: createCounter("grpc.client.attempt.started"),
    clientAttempt: {
      duration: createHistogram("grpc.client.attempt.duration"),
      sent: createHistogram("grpc.client.attempt.sent_total_compressed_message_size"),
      received: createHistogram("grpc.client.attempt.rcvd_total_compressed_message_size"),
    },
    clientCallDuration: createHistogram("grpc.client.call.duration"),
    serverCallStarted: createCounter("grpc.server.call.started"),
    serverCall: {
      duration: createHistogram("grpc.server.call.duration"),
      sent: createHistogram("grpc.server.call.sent_total_compressed_message_size"),
      received: createHistogram("grpc.server.call.rcvd_total_compressed_message_size"),
    },
  };
}
