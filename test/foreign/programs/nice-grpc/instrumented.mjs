// nice-grpc keeps its server to itself, so this catches it when it is bound.
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";
import { createRequire } from "node:module";

const telemetry = await startTelemetry({ defaultServiceName: "foreign", defaultPrometheusPort: 0 });
const { plugin } = telemetry;

// The grpc-js that nice-grpc uses may be another copy than the application's.
const requireOfNiceGrpc = createRequire(createRequire(import.meta.url).resolve("nice-grpc"));
const { Server } = requireOfNiceGrpc("@grpc/grpc-js");
const { bindAsync } = Server.prototype;
Server.prototype.bindAsync = function (...args) {
  bindAsync.apply(plugin.instrumentServer(this), args);
};

const { main } = await import(new URL(`../${process.argv[2]}`, import.meta.url));
await main({
  onChannel: (channel) => plugin.instrumentChannel(channel),
  channelOptions: plugin.clientOptions(),
});
await telemetry.shutdown();
