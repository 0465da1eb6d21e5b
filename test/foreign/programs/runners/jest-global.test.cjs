"use strict";
// As in `jest.test.cjs`, with everything recorded.
const { MeterProvider } = require("@opentelemetry/sdk-metrics");
const { GrpcOpenTelemetry } = require("grpc-js-opentelemetry");
const { PrometheusReader } = require("grpc-js-opentelemetry/prometheus");
const { writeSync } = require("node:fs");
const { main } = require("../plain/app.cjs");

test("makes calls", async () => {
  const reader = new PrometheusReader();
  const otel = new GrpcOpenTelemetry({ meterProvider: new MeterProvider({ readers: [reader] }) });
  otel.registerGlobal();
  await main();
  const { resourceMetrics } = await reader.collect();
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  writeSync(1, `Metrics: ${JSON.stringify(metrics)}\n`);
});
