"use strict";
const { startTelemetry } = require("grpc-js-opentelemetry/telemetry");
const { main } = require("./app.cjs");

async function instrumented() {
  const telemetry = await startTelemetry({
    defaultServiceName: "foreign",
    defaultPrometheusPort: 0,
  });
  const { plugin } = telemetry;
  await main({
    onServer: (server) => plugin.instrumentServer(server),
    channelOptions: plugin.clientOptions(),
  });
  await telemetry.shutdown();
}

instrumented();
