import {
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import { makeCalls } from "../calls.cjs";
import { callsOf, handlers, listen, service } from "../echo.cjs";

export async function main({ onServer = () => {}, channelOptions = {} } = {}) {
  const server = new Server();
  onServer(server);
  server.addService(service, handlers);
  const address = await listen({ ServerCredentials }, server);

  const Client = makeGenericClientConstructor(service);
  const client = new Client(address, credentials.createInsecure(), channelOptions);
  await makeCalls(callsOf(client));
  client.close();
  await new Promise((resolve) => server.tryShutdown(resolve));
}
