import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";

/**
 * TCP ports for programs that are about to be started: each the preferred one, or any free one if
 * that is taken.
 *
 * @param preferred The standard port of each use.
 * @returns For each use a port that was free a moment ago on all addresses of this host; no two
 * are the same.
 */
export async function freePorts<Use extends string>(
  preferred: Readonly<Record<Use, number>>,
): Promise<Record<Use, number>> {
  const ports: Partial<Record<Use, number>> = {};
  // All are held until the last one is found, or one could be found twice.
  const held: Server[] = [];
  try {
    for (const use of Object.keys(preferred) as Use[]) {
      const server = await listen(preferred[use]).catch(() => listen(0));
      held.push(server);
      ports[use] = (server.address() as AddressInfo).port;
    }
  } finally {
    await Promise.all(held.map((server) => once(server.close(), "close")));
  }
  return ports as Record<Use, number>;
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port);
  await once(server, "listening");
  return server;
}
