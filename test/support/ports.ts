import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { Owner } from "./script.ts";

/** Returns a port that is in use, on all addresses of this host or on one. */
export async function occupiedPort(owner: Owner, host = "::"): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  await listen(server, host, 0);
  owner.after(() => close(server));
  return (server.address() as AddressInfo).port;
}

/**
 * Returns a port of five digits that nobody listens on. It is below the ephemeral range, so the
 * system gives it to nobody else before it is used.
 */
export async function freePort(): Promise<number> {
  while (true) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    try {
      await listen(server, "::", port);
    } catch {
      continue;
    }
    await close(server);
    return port;
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, "close");
}
