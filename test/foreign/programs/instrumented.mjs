// Starts an application, named by its first argument, with telemetry.
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";

const telemetry = await startTelemetry({ defaultServiceName: "foreign", defaultPrometheusPort: 0 });
const { plugin } = telemetry;
const { main } = await import(new URL(process.argv[2], import.meta.url));
await main({
  onServer: (server) => plugin.instrumentServer(server),
  onChannel: (channel) => plugin.instrumentChannel(channel),
  channelOptions: plugin.clientOptions(),
});
await telemetry.shutdown();
