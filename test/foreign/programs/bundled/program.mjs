// What is bundled: an application that knows nothing of telemetry, and telemetry for the process,
// whose searches are counted.
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
  new GrpcOpenTelemetry({ meterProvider }).registerGlobal();
  await main();
  await telemetry.shutdown();
  console.log(`Searches: ${searches()}`);
}

instrumented();
