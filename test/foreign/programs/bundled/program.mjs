// What is bundled: an application, and telemetry whose searches are counted.
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";
import { main } from "../plain/app.mjs";
import { countSearches } from "../searches.mjs";

async function instrumented() {
  const telemetry = await startTelemetry({
    defaultServiceName: "bundled",
    defaultPrometheusPort: 0,
  });
  const { meterProvider, searches } = countSearches(telemetry.meterProvider);
  const otel = new GrpcOpenTelemetry({ meterProvider });
  await main({
    onServer: (server) => otel.instrumentServer(server),
    channelOptions: otel.clientOptions(),
  });
  await telemetry.shutdown();
  console.log(`Searches: ${searches()}`);
}

instrumented();
