/** The gRPC Echo server. It sends each message back after two seconds. */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { setTimeout as pause } from "node:timers/promises";

interface EchoMessage {
  message: string;
}

const service = loadSync("echo.proto")["grpc.examples.echo.Echo"] as grpc.ServiceDefinition;

const server = new grpc.Server();

server.addService(service, {
  async UnaryEcho(
    { request }: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    await pause(2000);
    reply(null, { message: `${request.message} (from :50051)` });
  },
});

server.bindAsync("localhost:50051", grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("Serving on :50051");
});
