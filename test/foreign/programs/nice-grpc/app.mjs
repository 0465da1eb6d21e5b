import { createChannel, createClient, createServer } from "nice-grpc";
import { makeCalls } from "../calls.cjs";
import { service } from "../echo.cjs";
import { callsOf, handlers } from "./echo.cjs";

export async function main({ onChannel = () => {} } = {}) {
  const server = createServer();
  server.add(service, handlers);
  const port = await server.listen("127.0.0.1:0");

  const channel = createChannel(`127.0.0.1:${port}`);
  onChannel(channel);
  await makeCalls(callsOf(createClient(service, channel)));
  channel.close();
  await server.shutdown();
}
