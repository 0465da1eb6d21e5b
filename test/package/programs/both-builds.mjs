// Uses the ES module and the CommonJS build at once, and prints what they share.
import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import * as esModule from "grpc-js-opentelemetry";
import { PrometheusReader } from "grpc-js-opentelemetry/prometheus";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const commonJs = require("grpc-js-opentelemetry");
if (commonJs.GrpcOpenTelemetry === esModule.GrpcOpenTelemetry) throw new Error("one build only");

const warnings = [];
process.on("warning", ({ message }) => warnings.push(message));

const reader = new PrometheusReader();
const meterProvider = new MeterProvider({ readers: [reader] });
const optionalLabels = ["grpc.client.call.custom"];
const methodAttributeFilter = () => {
  throw new Error("as intended");
};
const [one, other] = [esModule, commonJs].map(({ GrpcOpenTelemetry }) =>
  new GrpcOpenTelemetry({ meterProvider, optionalLabels, methodAttributeFilter })
);

const bytes = (value) => value;
const path = "/test.Echo/Say";
const methods = { requestStream: false, responseStream: false };
const codecs = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};
const server = new grpc.Server();
server.addService({ say: { path, ...methods, ...codecs } }, {
  say: (call, reply) => reply(null, call.request),
});
const port = await new Promise((resolve, reject) =>
  server.bindAsync(
    "127.0.0.1:0",
    grpc.ServerCredentials.createInsecure(),
    (error, bound) => error ? reject(error) : resolve(bound),
  )
);
const clientOf = (plugin) =>
  new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), plugin.clientOptions());
const clients = [clientOf(one), clientOf(other)];
const call = (client, options = {}) =>
  new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      path,
      bytes,
      bytes,
      Buffer.from("hello"),
      options,
      (error, reply) => error ? reject(error) : resolve(reply),
    )
  );

/** The custom labels of all calls. */
async function labels() {
  const { resourceMetrics } = await reader.collect();
  const metric = resourceMetrics.scopeMetrics[0].metrics
    .find(({ descriptor }) => descriptor.name === "grpc.client.call.duration");
  return metric.dataPoints.map(({ attributes }) => attributes["grpc.client.call.custom"]);
}

// Each client's calls get their label from the other build.
await call(clients[0], commonJs.customLabel("options of CommonJS"));
await commonJs.withCustomLabel("context of CommonJS", () => call(clients[0]));
await call(clients[1], esModule.customLabel("options of ES module"));
await esModule.withCustomLabel("context of ES module", () => call(clients[1]));
const custom = (await labels()).sort();

// A channel that nobody instruments is recorded once, whichever build is registered.
other.registerGlobal();
let second;
try {
  one.registerGlobal();
} catch ({ message }) {
  second = message;
}
const bare = new grpc.Client(`localhost:${port}`, grpc.credentials.createInsecure());
const callsOf = async (target) => {
  const { resourceMetrics } = await reader.collect();
  const started = resourceMetrics.scopeMetrics[0].metrics
    .find(({ descriptor }) => descriptor.name === "grpc.client.attempt.started");
  return started.dataPoints.filter(({ attributes }) => attributes["grpc.target"] === target)
    .reduce((sum, { value }) => sum + value, 0);
};
await call(bare);
other.deregisterGlobal();
await call(bare);
one.registerGlobal();
await call(bare);
const global = { second, calls: await callsOf(`dns:///localhost:${port}`) };

// Together the builds record more sets of labels than one metric may have.
for (let count = 0; count < 2200; count += 100) {
  await Promise.all(Array.from({ length: 100 }, (_, index) => {
    const label = `${count + index}`;
    return call(clients[index % 2], esModule.customLabel(label));
  }));
}
const series = (await labels()).length;

for (const client of [...clients, bare]) client.close();
server.forceShutdown();
// Warnings are emitted in the next tick.
setImmediate(() => console.log(JSON.stringify({ custom, series, warnings, global })));
