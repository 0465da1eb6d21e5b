/**
 * The gRPC OpenTelemetry plugin for `@grpc/grpc-js`: records the metrics of gRFC A66, A94 and A96 with
 * any OpenTelemetry `MeterProvider`, and the spans of gRFC A72 with any `TracerProvider`.
 *
 * @example
 * ```ts
 * const otel = new GrpcOpenTelemetry({ meterProvider });
 * const client = new EchoClient(target, credentials, otel.clientOptions());
 * const server = otel.instrumentServer(new grpc.Server());
 * ```
 *
 * @module
 */
export { GrpcOpenTelemetry } from "./plugin.ts";
export type { GrpcOpenTelemetryOptions } from "./options.ts";
export type { GlobalOptions } from "./global.ts";
export type { ChannelLike, GrpcModule, ServerLike } from "./grpc-copies.ts";
export { customLabel, withCustomLabel } from "./client/custom-label.ts";
export { canonicalTarget } from "./client/target.ts";
export { openTelemetryViews } from "./views/opentelemetry-views.ts";
export type { OpenTelemetryView, OpenTelemetryViewsOptions } from "./views/opentelemetry-views.ts";
export { GrpcTraceBinPropagator } from "./tracing/trace-bin-propagator.ts";
