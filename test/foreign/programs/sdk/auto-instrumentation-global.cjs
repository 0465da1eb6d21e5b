"use strict";
// As in `auto-instrumentation.cjs`, but the plugin records everything in the process.
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { GrpcInstrumentation } = require("@opentelemetry/instrumentation-grpc");

const sdk = new NodeSDK({ instrumentations: [new GrpcInstrumentation()] });
sdk.start();

const { metrics } = require("@opentelemetry/api");
const { GrpcOpenTelemetry } = require("grpc-js-opentelemetry");
new GrpcOpenTelemetry({ meterProvider: metrics.getMeterProvider() }).registerGlobal();

const { main } = require("../plain/app.cjs");
main().then(() => sdk.shutdown());
