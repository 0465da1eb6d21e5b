// A server of the application's grpc-js, and a client of the older one that nice-grpc has.
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { createChannel, createClient } from "nice-grpc";
import { makeCalls } from "../calls.cjs";
import { handlers, listen, service } from "../echo.cjs";
import { callsOf } from "../nice-grpc/echo.cjs";

export async function main({ onServer = () => {}, onChannel = () => {} } = {}) {
  const server = new Server();
  onServer(server);
  server.addService(service, handlers);
  const channel = createChannel(await listen({ ServerCredentials }, server));
  onChannel(channel);
  await makeCalls(callsOf(createClient(service, channel)));
  channel.close();
  await new Promise((resolve) => server.tryShutdown(resolve));
}
