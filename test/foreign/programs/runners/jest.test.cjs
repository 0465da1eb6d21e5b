"use strict";
// A test of an application, as Jest runs it: with modules of its own, in a context of its own. The
// metrics are printed: OpenTelemetry's exporters need `import()`, which Jest has only with Node's
// `--experimental-vm-modules`.
const { MeterProvider } = require("@opentelemetry/sdk-metrics");
const { GrpcOpenTelemetry } = require("grpc-js-opentelemetry");
const { PrometheusReader } = require("grpc-js-opentelemetry/prometheus");
const { writeSync } = require("node:fs");
const { main } = require("../plain/app.cjs");

test("makes calls", async () => {
  const reader = new PrometheusReader();
  const otel = new GrpcOpenTelemetry({ meterProvider: new MeterProvider({ readers: [reader] }) });
  await main({
    onServer: (server) => otel.instrumentServer(server),
    channelOptions: otel.clientOptions(),
  });
  const { resourceMetrics } = await reader.collect();
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  writeSync(1, `Metrics: ${JSON.stringify(metrics)}\n`);
});
