// The plugin makes spans too, so OpenTelemetry's own instrumentation of gRPC is off.
import { metrics, propagation, trace } from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { main } from "../plain/app.mjs";

const sdk = new NodeSDK();
sdk.start();
const otel = new GrpcOpenTelemetry({
  meterProvider: metrics.getMeterProvider(),
  tracerProvider: trace.getTracerProvider(),
  textMapPropagator: propagation,
});

await main({
  onServer: (server) => otel.instrumentServer(server),
  channelOptions: otel.clientOptions(),
});
await sdk.shutdown();
