"use strict";
const { startTelemetry } = require("grpc-js-opentelemetry/telemetry");
const { main } = require("./app.cjs");

async function instrumented() {
  const telemetry = await startTelemetry({
    defaultServiceName: "foreign",
    defaultPrometheusPort: 0,
  });
  telemetry.plugin.registerGlobal();
  await main();
  await telemetry.shutdown();
}

instrumented();
