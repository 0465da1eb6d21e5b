"use strict";
// OpenTelemetry's own instrumentation makes the spans, the plugin only metrics. The SDK starts before
// anything loads grpc-js.
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { GrpcInstrumentation } = require("@opentelemetry/instrumentation-grpc");

const sdk = new NodeSDK({ instrumentations: [new GrpcInstrumentation()] });
sdk.start();

const { metrics } = require("@opentelemetry/api");
const { GrpcOpenTelemetry } = require("grpc-js-opentelemetry");
const { main } = require("../plain/app.cjs");

async function instrumented() {
  const otel = new GrpcOpenTelemetry({ meterProvider: metrics.getMeterProvider() });
  await main({
    onServer: (server) => otel.instrumentServer(server),
    channelOptions: otel.clientOptions(),
  });
  await sdk.shutdown();
}

instrumented();
