"use strict";
// An application whose SDK makes spans with OpenTelemetry's own instrumentation, and no metrics.
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
const { GrpcInstrumentation } = require("@opentelemetry/instrumentation-grpc");
const { NodeSDK } = require("@opentelemetry/sdk-node");

const sdk = new NodeSDK({
  instrumentations: [new GrpcInstrumentation()],
  metricReaders: [],
  traceExporter: new OTLPTraceExporter(),
});
sdk.start();

const { main } = require("../plain/app.cjs");
main().then(() => sdk.shutdown());
