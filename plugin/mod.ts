/**
 * The gRPC OpenTelemetry plugin for `@grpc/grpc-js`: the metrics of gRFC A66, recorded through any
 * OpenTelemetry `MeterProvider`.
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
export type { GrpcOpenTelemetryOptions } from "./plugin.ts";
export { canonicalTarget } from "./target.ts";
