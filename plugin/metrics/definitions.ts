/** The name of the meter and the tracer. Their version is that of grpc-js. */
export const SCOPE = "grpc-js";

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

/** Bucket bounds of the histograms that count retries and hedges (gRFC A96). */
const ATTEMPT_BOUNDS: readonly number[] = [1, 2, 3, 4, 5];

/** The kinds of OpenTelemetry instruments that the plugin records to. */
export type InstrumentKind = "counter" | "upDownCounter" | "histogram" | "gauge";

/** One metric: the instrument that records it, and whether it is on by default. */
export interface MetricDefinition<Kind extends InstrumentKind = InstrumentKind> {
  readonly name: string;
  readonly kind: Kind;
  readonly unit: string;
  readonly description: string;
  /** The bucket bounds, for a histogram only. Those of the SDK if omitted. */
  readonly bounds?: readonly number[];
  readonly onByDefault: boolean;
}

/**
 * Every metric that the plugin can record, in groups that are recorded together. The descriptions
 * are those of grpc-go, and those of the gRFC for what it does not have.
 */
export const METRICS = {
  /** gRFC A66 */
  clientAttempt: {
    started: counter(
      "grpc.client.attempt.started",
      "{attempt}",
      "Number of client call attempts started.",
    ),
    duration: latency(
      "grpc.client.attempt.duration",
      "End-to-end time taken to complete a client call attempt.",
    ),
    sent: size(
      "grpc.client.attempt.sent_total_compressed_message_size",
      "Compressed message bytes sent per client call attempt.",
    ),
    received: size(
      "grpc.client.attempt.rcvd_total_compressed_message_size",
      "Compressed message bytes received per call attempt.",
    ),
  },
  /** gRFC A66 */
  clientCall: {
    duration: latency(
      "grpc.client.call.duration",
      "Time taken by gRPC to complete an RPC from application's perspective.",
    ),
  },
  /** gRFC A66 */
  serverCall: {
    started: counter(
      "grpc.server.call.started",
      "{call}",
      "Number of server calls started.",
    ),
    duration: latency(
      "grpc.server.call.duration",
      "End-to-end time taken to complete a call from server transport's perspective.",
    ),
    sent: size(
      "grpc.server.call.sent_total_compressed_message_size",
      "Compressed message bytes sent per server call.",
    ),
    received: size(
      "grpc.server.call.rcvd_total_compressed_message_size",
      "Compressed message bytes received per server call.",
    ),
  },
  /** gRFC A96 */
  clientRetries: {
    retries: offByDefault(histogram(
      "grpc.client.call.retries",
      "{retry}",
      "Number of retries during the client call. If there were no retries, 0 is not reported.",
      ATTEMPT_BOUNDS,
    )),
    transparentRetries: offByDefault(histogram(
      "grpc.client.call.transparent_retries",
      "{transparent_retry}",
      "Number of transparent retries during the client call. If there were no transparent " +
        "retries, 0 is not reported.",
      [...ATTEMPT_BOUNDS, 10],
    )),
    hedges: offByDefault(histogram(
      "grpc.client.call.hedges",
      "{hedge}",
      "Number of hedges during the client call. If there were no hedges, 0 is not reported.",
      ATTEMPT_BOUNDS,
    )),
    retryDelay: offByDefault(latency(
      "grpc.client.call.retry_delay",
      "Total time of delay while there is no active attempt during the client call.",
    )),
  },
  /** gRFC A94 */
  subchannel: {
    disconnections: offByDefault(counter(
      "grpc.subchannel.disconnections",
      "{disconnection}",
      "EXPERIMENTAL. Number of times the selected subchannel becomes disconnected.",
    )),
    connectionAttemptsSucceeded: offByDefault(counter(
      "grpc.subchannel.connection_attempts_succeeded",
      "{attempt}",
      "EXPERIMENTAL. Number of successful connection attempts.",
    )),
    connectionAttemptsFailed: offByDefault(counter(
      "grpc.subchannel.connection_attempts_failed",
      "{attempt}",
      "EXPERIMENTAL. Number of failed connection attempts.",
    )),
    openConnections: offByDefault(upDownCounter(
      "grpc.subchannel.open_connections",
      "{connection}",
      "EXPERIMENTAL. Number of open connections.",
    )),
  },
  /** gRFC A118 */
  clientHandshakes: {
    handshakes: handshakes("client"),
  },
  /** gRFC A118 */
  serverHandshakes: {
    handshakes: handshakes("server"),
  },
  /** gRFC A80 */
  tcp: {
    connectionsCreated: offByDefault(counter(
      "grpc.tcp.connections_created",
      "{connection}",
      "EXPERIMENTAL. Number of TCP connections created.",
    )),
    connectionCount: offByDefault(upDownCounter(
      "grpc.tcp.connection_count",
      "{connection}",
      "EXPERIMENTAL. Number of active TCP connections.",
    )),
  },
  /** gRFC A121 */
  clientCallDelay: {
    duration: offByDefault(latency(
      "grpc.client.call.delay.duration",
      "EXPERIMENTAL. Time an RPC spent waiting at the call level before an attempt was " +
        "initiated, such as waiting for name resolution.",
    )),
  },
  /** gRFC A121 */
  clientAttemptDelay: {
    duration: offByDefault(latency(
      "grpc.client.attempt.delay.duration",
      "EXPERIMENTAL. Time an RPC attempt spent waiting for a load balancing pick or connection " +
        "establishment.",
    )),
  },
  /** gRFC A78 */
  weightedRoundRobin: {
    fallback: offByDefault(counter(
      "grpc.lb.wrr.rr_fallback",
      "{update}",
      "EXPERIMENTAL. Number of scheduler updates in which there were not enough endpoints with " +
        "valid weight, which caused the WRR policy to fall back to RR behavior.",
    )),
    notYetUsable: offByDefault(counter(
      "grpc.lb.wrr.endpoint_weight_not_yet_usable",
      "{endpoint}",
      "EXPERIMENTAL. Number of endpoints from each scheduler update that don't yet have usable " +
        "weight information (i.e., either the load report has not yet been received, or it is " +
        "within the blackout period).",
    )),
    stale: offByDefault(counter(
      "grpc.lb.wrr.endpoint_weight_stale",
      "{endpoint}",
      "EXPERIMENTAL. Number of endpoints from each scheduler update whose latest weight is older " +
        "than the expiration period.",
    )),
    weights: offByDefault(histogram(
      "grpc.lb.wrr.endpoint_weights",
      "{weight}",
      "EXPERIMENTAL. Weight of each endpoint, recorded on every scheduler update. Endpoints " +
        "without usable weights will be recorded as weight 0.",
    )),
  },
  /** gRFC A91 */
  outlierDetection: {
    enforced: offByDefault(counter(
      "grpc.lb.outlier_detection.ejections_enforced",
      "{ejection}",
      "EXPERIMENTAL. Number of outlier ejections enforced by detection method",
    )),
    unenforced: offByDefault(counter(
      "grpc.lb.outlier_detection.ejections_unenforced",
      "{ejection}",
      "EXPERIMENTAL. Number of unenforced outlier ejections due to either " +
        "`max_ejection_percentage` or `enforcement_percentage`",
    )),
  },
  /** gRFC A78 */
  xdsClient: {
    connected: offByDefault(gauge(
      "grpc.xds_client.connected",
      "{bool}",
      "A metric that is 1 if the xDS Client has a working ADS stream to the server, 0 otherwise.",
    )),
    serverFailure: offByDefault(counter(
      "grpc.xds_client.server_failure",
      "{failure}",
      "A counter of xDS servers going from healthy to unhealthy. A server goes unhealthy when we " +
        "have a connectivity failure or when the ADS stream fails without seeing a response " +
        "message, as per gRFC A57.",
    )),
    updatesValid: offByDefault(counter(
      "grpc.xds_client.resource_updates_valid",
      "{resource}",
      "A counter of resources received that were considered valid. The counter will be " +
        "incremented even for resources that have not changed.",
    )),
    updatesInvalid: offByDefault(counter(
      "grpc.xds_client.resource_updates_invalid",
      "{resource}",
      "A counter of resources received that were considered invalid.",
    )),
    resources: offByDefault(gauge(
      "grpc.xds_client.resources",
      "{resource}",
      "Counts of xDS resources.",
    )),
  },
} as const satisfies Record<string, Record<string, MetricDefinition>>;

const DEFINITIONS: readonly MetricDefinition[] = Object.values(METRICS).flatMap((group) =>
  Object.values<MetricDefinition>(group)
);

/** The names of all metrics that the plugin can record. */
export const METRIC_NAMES: readonly string[] = DEFINITIONS.map(({ name }) => name);

/**
 * Returns the names of the metrics that are on: those that are on by default, plus `enable`, minus
 * `disable`.
 *
 * @param disableAll Whether no metric is on by default.
 * @throws {RangeError} If a name is not a metric of this plugin. The message lists the known ones.
 */
export function selectMetrics(
  enable: readonly string[],
  disable: readonly string[],
  disableAll = false,
): ReadonlySet<string> {
  const selected = new Set(
    DEFINITIONS.filter(({ onByDefault }) => onByDefault && !disableAll).map(({ name }) => name),
  );
  for (const name of enable) selected.add(knownMetric("enableMetrics", name));
  for (const name of disable) selected.delete(knownMetric("disableMetrics", name));
  return selected;
}

function knownMetric(option: string, name: string): string {
  if (METRIC_NAMES.includes(name)) return name;
  throw new RangeError(
    `${option}: "${name}" is not a metric of this plugin; known are ${METRIC_NAMES.join(", ")}`,
  );
}

function counter(name: string, unit: string, description: string): MetricDefinition<"counter"> {
  return { name, kind: "counter", unit, description, onByDefault: true };
}

function upDownCounter(
  name: string,
  unit: string,
  description: string,
): MetricDefinition<"upDownCounter"> {
  return { name, kind: "upDownCounter", unit, description, onByDefault: true };
}

function handshakes(side: "client" | "server"): MetricDefinition<"counter"> {
  return offByDefault(counter(
    `grpc.${side}.tls.handshakes`,
    "{handshake}",
    `EXPERIMENTAL: The number of handshakes performed on the ${side} side. The primary useful ` +
      "information comes from the labels, in particular the result label contains information on " +
      "why a handshake failed if it did not succeed.",
  ));
}

function gauge(name: string, unit: string, description: string): MetricDefinition<"gauge"> {
  return { name, kind: "gauge", unit, description, onByDefault: true };
}

function latency(name: string, description: string): MetricDefinition<"histogram"> {
  return histogram(name, "s", description, LATENCY_BOUNDS_SECONDS);
}

function size(name: string, description: string): MetricDefinition<"histogram"> {
  return histogram(name, "By", description, SIZE_BOUNDS_BYTES);
}

function histogram(
  name: string,
  unit: string,
  description: string,
  bounds?: readonly number[],
): MetricDefinition<"histogram"> {
  const definition = { name, kind: "histogram", unit, description, onByDefault: true } as const;
  return bounds === undefined ? definition : { ...definition, bounds };
}

function offByDefault<Kind extends InstrumentKind>(
  definition: MetricDefinition<Kind>,
): MetricDefinition<Kind> {
  return { ...definition, onByDefault: false };
}
