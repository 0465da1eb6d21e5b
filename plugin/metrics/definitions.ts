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

/** Bucket bounds of the counts of further attempts in a call (gRFC A96). */
const ATTEMPT_BOUNDS: readonly number[] = [1, 2, 3, 4, 5];

/** What one instrument is called, what it measures, and whether it is on when nobody says so. */
export interface MetricDefinition {
  readonly unit: string;
  readonly description: string;
  /** Bucket bounds of a histogram. */
  readonly bounds?: readonly number[];
  readonly onByDefault: boolean;
}

function counter(unit: string, description: string): MetricDefinition {
  return { unit, description, onByDefault: true };
}

function latency(description: string): MetricDefinition {
  return histogram("s", description, LATENCY_BOUNDS_SECONDS);
}

function size(description: string): MetricDefinition {
  return histogram("By", description, SIZE_BOUNDS_BYTES);
}

function histogram(
  unit: string,
  description: string,
  bounds: readonly number[],
): MetricDefinition {
  return { unit, description, bounds, onByDefault: true };
}

function offByDefault(definition: MetricDefinition): MetricDefinition {
  return { ...definition, onByDefault: false };
}

/** Every metric that the plugin can record, by name; descriptions are those of grpc-go. */
export const METRICS = {
  // gRFC A66
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
  "grpc.server.call.started": counter(
    "{call}",
    "Number of server calls started.",
  ),
  "grpc.server.call.duration": latency(
    "End-to-end time taken to complete a call from server transport's perspective.",
  ),
  "grpc.server.call.sent_total_compressed_message_size": size(
    "Compressed message bytes sent per server call.",
  ),
  "grpc.server.call.rcvd_total_compressed_message_size": size(
    "Compressed message bytes received per server call.",
  ),

  // gRFC A96
  "grpc.client.call.retries": offByDefault(histogram(
    "{retry}",
    "Number of retries during the client call. If there were no retries, 0 is not reported.",
    ATTEMPT_BOUNDS,
  )),
  "grpc.client.call.transparent_retries": offByDefault(histogram(
    "{transparent_retry}",
    "Number of transparent retries during the client call. If there were no transparent " +
      "retries, 0 is not reported.",
    [...ATTEMPT_BOUNDS, 10],
  )),
  "grpc.client.call.hedges": offByDefault(histogram(
    "{hedge}",
    "Number of hedges during the client call. If there were no hedges, 0 is not reported.",
    ATTEMPT_BOUNDS,
  )),
  "grpc.client.call.retry_delay": offByDefault(latency(
    "Total time of delay while there is no active attempt during the client call.",
  )),

  // gRFC A94
  "grpc.subchannel.disconnections": offByDefault(counter(
    "{disconnection}",
    "EXPERIMENTAL. Number of times the selected subchannel becomes disconnected.",
  )),
  "grpc.subchannel.connection_attempts_succeeded": offByDefault(counter(
    "{attempt}",
    "EXPERIMENTAL. Number of successful connection attempts.",
  )),
  "grpc.subchannel.connection_attempts_failed": offByDefault(counter(
    "{attempt}",
    "EXPERIMENTAL. Number of failed connection attempts.",
  )),
  "grpc.subchannel.open_connections": offByDefault(counter(
    "{connection}",
    "EXPERIMENTAL. Number of open connections.",
  )),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** The names of all metrics that the plugin can record. */
export const METRIC_NAMES: readonly MetricName[] = Object.keys(
  METRICS,
) as MetricName[];

/**
 * Which metrics are on: those that their gRFCs switch on by default, plus `enable`, minus `disable`.
 *
 * @throws {RangeError} for a name that is no metric of this plugin; the message lists those that are.
 */
export function selectMetrics(
  enable: readonly string[],
  disable: readonly string[],
): ReadonlySet<MetricName> {
  const selected = new Set(
    METRIC_NAMES.filter((name) => METRICS[name].onByDefault),
  );
  for (const name of enable) selected.add(knownMetric("enableMetrics", name));
  for (const name of disable) {
    selected.delete(knownMetric("disableMetrics", name));
  }
  return selected;
}

function knownMetric(option: string, name: string): MetricName {
  if (Object.hasOwn(METRICS, name)) return name as MetricName;
  throw new RangeError(
    `${option}: "${name}" is not a metric of this plugin; known are ${METRIC_NAMES.join(", ")}`,
  );
}
