/** The gRPC Echo client. It makes one call after another. */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { setTimeout as pause } from "node:timers/promises";

interface EchoMessage {
  message: string;
}

const service = loadSync("echo.proto")["grpc.examples.echo.Echo"] as grpc.ServiceDefinition;
const EchoClient = grpc.makeClientConstructor(service, "Echo");
const credentials = grpc.credentials.createInsecure();

const client = new EchoClient("localhost:50051", credentials);

function echo(message: string): Promise<EchoMessage> {
  return new Promise((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, reply: EchoMessage) =>
      error ? reject(error) : resolve(reply);
    client.UnaryEcho({ message }, done);
  });
}

while (true) {
  const { message } = await echo("this is examples/opentelemetry");
  console.log(`message:"${message}"`);
  await pause(1000);
}
