/**
 * A service in plain JavaScript that knows nothing of telemetry, on a free port. Telemetry is a module
 * that is loaded before it.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";

const bytes = (message) => message;
const method = {
  path: "/example.Service/Call",
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};

const server = new grpc.Server();
server.addService({ Call: method }, { Call: (call, reply) => reply(null, call.request) });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`Serving on :${port}`);
});
