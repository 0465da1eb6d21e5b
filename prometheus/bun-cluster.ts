import type { Server } from "node:http";

/**
 * Works around Bun, whose HTTP servers share their port among the workers of a cluster, even with
 * `exclusive`. This server then listens as in a process without a cluster: the port is its own, or
 * in use. Does nothing on other runtimes.
 */
export function listenExclusively(server: Server): void {
  const prototype = process.getBuiltinModule("node:http").Server.prototype;
  const name = Object.getOwnPropertySymbols(prototype)
    .find((symbol) => symbol.description === "kRealListen");
  const original: unknown = name && Reflect.get(prototype, name);
  if (name === undefined || typeof original !== "function") return;
  // The arguments are TLS, port, host, path of a socket, and whether to share the port.
  const listen = (...[tls, port, host, path, _share, ...rest]: unknown[]) =>
    original.call(server, tls, port, host, path, false, ...rest);
  Object.defineProperty(server, name, { value: listen });
}
