import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { Owner } from "./script.ts";

/** A port that somebody else listens on, at all of this host's addresses or at one. */
export async function occupiedPort(owner: Owner, host = "::"): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  await listen(server, host, 0);
  owner.after(() => close(server));
  return (server.address() as AddressInfo).port;
}

/**
 * A port of five digits that nobody listens on. It is below those that systems give away unasked,
 * so nobody is given it before it is used.
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
