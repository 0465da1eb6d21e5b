// Records everything that an application, named by the first argument, does with grpc-js.
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";

const telemetry = await startTelemetry({ defaultServiceName: "foreign", defaultPrometheusPort: 0 });
telemetry.plugin.registerGlobal();
const { main } = await import(new URL(process.argv[2], import.meta.url));
await main();
await telemetry.shutdown();
