import { startTelemetry } from "grpc-js-opentelemetry/telemetry";
import { test } from "vitest";
import { main } from "../plain/app.mjs";

test("makes calls", async () => {
  const telemetry = await startTelemetry({
    defaultServiceName: "vitest",
    defaultPrometheusPort: 0,
  });
  const { plugin } = telemetry;
  await main({
    onServer: (server) => plugin.instrumentServer(server),
    channelOptions: plugin.clientOptions(),
  });
  await telemetry.shutdown();
});
