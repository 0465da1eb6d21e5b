// nice-grpc keeps its server to itself, so the program catches it when it is bound.
import { Server } from "@grpc/grpc-js";
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";

const telemetry = await startTelemetry({ defaultServiceName: "foreign", defaultPrometheusPort: 0 });
const { plugin } = telemetry;

const { bindAsync } = Server.prototype;
Server.prototype.bindAsync = function (...args) {
  bindAsync.apply(plugin.instrumentServer(this), args);
};

const { main } = await import("./app.mjs");
await main({ onChannel: (channel) => plugin.instrumentChannel(channel) });
await telemetry.shutdown();
