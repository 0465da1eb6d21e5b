import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";

/**
 * Finds TCP ports for programs that are about to start: the preferred ports where they are free,
 * other free ports where they are not.
 *
 * @param preferred The standard port of each use; 0 for any.
 * @returns A different port for each use. Each was free a moment ago on all addresses of this host.
 */
export async function freePorts<Use extends string>(
  preferred: Readonly<Record<Use, number>>,
): Promise<Record<Use, number>> {
  const ports: Partial<Record<Use, number>> = {};
  // Holds every port until the last one is found, so that none is found twice.
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
