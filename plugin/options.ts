import type { MeterProvider, TextMapPropagator, TracerProvider } from "@opentelemetry/api";
import type { MetricAttributes } from "./metrics/metric-attributes.ts";

/** Configures a `GrpcOpenTelemetry`. Every option may be omitted. */
export interface GrpcOpenTelemetryOptions {
  /** Creates the meter that records metrics. If omitted, no metrics are recorded. */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * The names of metrics to turn on. By default, the metrics of gRFC A66 are on, and all others off.
   *
   * The connection metrics (gRFC A94) count a connection once, also if channels or plugins of one
   * meter provider share it, with the labels of the first one. A connection that is open before it is
   * recorded counts as an attempt that succeeded.
   *
   * The TCP metrics (gRFC A80) and the metrics of TLS handshakes (gRFC A118) count in the same way. A
   * TCP connection that is open before it is recorded counts as created, and its handshake does not
   * count.
   *
   * The metrics of xDS clients (gRFC A78) have the target of the first channel that is recorded, because
   * a process has one xDS client for all channels.
   *
   * The names of the delay metrics (gRFC A121) also turn on the spans of these delays, with or without a
   * `meterProvider`.
   */
  readonly enableMetrics?: readonly string[];
  /** The names of metrics to turn off. */
  readonly disableMetrics?: readonly string[];
  /**
   * Whether only the metrics in `enableMetrics` are on, as with `disableAllMetrics()` in Java. Spans are
   * not affected. Defaults to false.
   */
  readonly disableAllMetrics?: boolean;
  /**
   * Labels that all metrics of this plugin have in addition to their own, such as
   * `{ tenant: "blue" }`. The series for values over the cardinality limit lacks them. What describes
   * the whole process belongs in the resource instead.
   */
  readonly metricAttributes?: MetricAttributes;
  /**
   * The names of labels to record in addition to the default ones:
   *
   * - `grpc.client.call.custom`: the label that `customLabel()` sets (gRFC A108).
   * - `grpc.lb.locality` (gRFC A78) and `grpc.lb.backend_service` (gRFC A89): where an attempt or a
   *   connection goes with xDS. Empty without xDS.
   * - `grpc.disconnect_error` and `grpc.security_level`: on the connection metrics (gRFC A94).
   * - `grpc.tls.handshake.resumed`: on the metrics of TLS handshakes (gRFC A118).
   * - `network.local.address`, `network.local.port`, `network.peer.address` and `network.peer.port`: on
   *   the TCP metrics (gRFC A80). With a port, each connection has a series of its own.
   * - `grpc.method`: on the delay metrics (gRFC A121). The other metrics of calls always have it.
   */
  readonly optionalLabels?: readonly string[];
  /**
   * Returns whether the label `grpc.method` shows a method, passed as `package.Service/Method`. The
   * label is `other` if the filter returns false, throws or returns a promise.
   *
   * A server always shows a method that is not registered as `other`.
   */
  readonly methodAttributeFilter?: (fullMethod: string) => boolean;
  /**
   * Returns whether the label `grpc.target` shows a canonical target. The label is `other` if the
   * filter returns false, throws or returns a promise.
   */
  readonly targetAttributeFilter?: (target: string) => boolean;
  /**
   * Returns whether the calls of a method are recorded, on clients and servers. A method is passed as
   * `package.Service/Method`. A call that the filter refuses, such as a health check, has no metrics
   * and no spans. The context of its caller still reaches the server's handler.
   *
   * Called once for each method that a client calls or that a server has registered, and for each call
   * of a method that is not registered. If the filter throws or returns a promise, the calls are
   * recorded.
   */
  readonly methodFilter?: ((fullMethod: string) => boolean) | undefined;
  /** Creates the tracer that starts spans (gRFC A72). If omitted, there are no spans. */
  readonly tracerProvider?: TracerProvider | undefined;
  /**
   * Passes the caller's context, such as its span and baggage, from clients to servers, with or
   * without a `tracerProvider`. If omitted, client and server spans are not joined into one trace. For
   * peers that use OpenCensus see `GrpcTraceBinPropagator`.
   */
  readonly textMapPropagator?: TextMapPropagator | undefined;
  /**
   * Whether servers do not trust the spans of clients, as at the edge of a network. The span of a call
   * is then the first of a new trace, with a link to the client's span, so that strangers decide
   * neither which trace a call belongs to nor whether it is sampled. Baggage is still passed on; leave
   * its propagator out if handlers must not see that of strangers. Defaults to false.
   */
  readonly publicEndpoint?: boolean;
}
