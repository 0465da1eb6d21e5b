// Makes the plugin too early: the API has only a no-op provider until the SDK has started.
import { metrics } from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { main } from "../plain/app.mjs";

const otel = new GrpcOpenTelemetry({ meterProvider: metrics.getMeterProvider() });
const sdk = new NodeSDK();
sdk.start();

await main({
  onServer: (server) => otel.instrumentServer(server),
  channelOptions: otel.clientOptions(),
});
await sdk.shutdown();
