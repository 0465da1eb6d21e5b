/**
 * A gRPC program that knows nothing of telemetry. It makes three calls with 5 bytes in each direction,
 * prints "called", and does then what its argument says.
 */
import * as grpc from "@grpc/grpc-js";
import { fork } from "node:child_process";
import cluster from "node:cluster";
import { fileURLToPath } from "node:url";
import { Worker, workerData } from "node:worker_threads";

const bytes = (message) => message;
const method = {
  path: "/test.Service/Call",
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};

const server = new grpc.Server();
server.addService({ Call: method }, { Call: (call, reply) => reply(null, call.request) });
const port = await new Promise((resolve) => {
  const credentials = grpc.ServerCredentials.createInsecure();
  server.bindAsync("127.0.0.1:0", credentials, (_, port) => resolve(port));
});
const Client = grpc.makeGenericClientConstructor({ Call: method }, "Service");
const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
for (let i = 0; i < 3; i++) {
  await new Promise((resolve) => client.Call(Buffer.from("hello"), resolve));
}
console.log("called");

function end() {
  client.close();
  server.tryShutdown(() => {});
}

const file = fileURLToPath(import.meta.url);
const [, , action = workerData] = process.argv;
switch (action) {
  case "exit-3":
    process.exitCode = 3;
    end();
    break;
  case "throw":
    throw new Error("the program's own");
  case "stay":
    break;
  case "end-at-sigterm":
    process.once("SIGTERM", end);
    break;
  case "fork":
    fork(file, ["end"]).on("exit", end);
    break;
  case "cluster":
    cluster.setupPrimary({ exec: file, args: ["end"] });
    cluster.fork().on("exit", end);
    break;
  case "worker":
    new Worker(file, { workerData: "end" }).on("exit", end);
    break;
  default:
    end();
    if (cluster.isWorker) cluster.worker.disconnect();
}
