/**
 * A small HTTP/1.1 listener for metrics: bounded in time, size and number of connections, and never
 * the reason why a process stays alive.
 *
 * @module
 */

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { diag } from "@opentelemetry/api";

/** What a client may use. Times in milliseconds. */
export interface ListenerLimits {
  /** Until all headers of a request are there. */
  readonly headers: number;
  /** Until all of a request is there. */
  readonly request: number;
  /** Between two requests on a connection. Longer than the usual scrape interval of a minute. */
  readonly idle: number;
  /** Of a request's headers, bytes. */
  readonly headerBytes: number;
  /** Open at a time; more are closed at once. Bun counts those that have sent something. */
  readonly connections: number;
  /** What a request under way may still take once the listener is being closed. */
  readonly closing: number;
}

/** Made for a few scrapers and a browser. */
export const LISTENER_LIMITS: ListenerLimits = {
  headers: 5_000,
  request: 10_000,
  idle: 75_000,
  headerBytes: 16_384,
  connections: 64,
  closing: 1_000,
};

/** A listener that accepts connections. */
export interface Listener {
  /** The port it got. */
  readonly port: number;
  /** Stops accepting, lets requests under way finish for a moment, then cuts them off. */
  close(): Promise<void>;
}

/**
 * Starts to listen.
 *
 * @param handle answers a request; must not throw
 * @param address where to listen; port 0 is any free port
 * @param limits for tests
 * @throws {Error} the runtime's error when the address can't be had, `code` is for example
 *   `EADDRINUSE`
 */
export async function startListener(
  handle: RequestListener,
  address: { readonly host: string; readonly port: number },
  limits: ListenerLimits = LISTENER_LIMITS,
): Promise<Listener> {
  const open = new Set<Socket>();
  const busy = new Set<Socket>();
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headers,
    requestTimeout: limits.request,
    keepAliveTimeout: limits.idle,
    connectionsCheckingInterval: Math.min(1_000, limits.headers),
  });
  server.maxConnections = limits.connections;
  server.on("connection", (socket) => {
    socket.unref();
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  let closed: Promise<void> | undefined;
  server.on("request", (request, response) => {
    const { socket } = request;
    busy.add(socket);
    response.once("close", () => {
      busy.delete(socket);
      if (closed !== undefined) socket.end();
    });
    handle(request, response);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    // Nothing may be put into the middle of a response.
    if (socket.writable && !busy.has(socket)) socket.end(refusal(error.code));
    else socket.destroy();
  });
  await listen(server, address);
  server.unref();
  server.on("error", (error) => diag.error(`The metrics listener failed: ${error.message}`));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      closed ??= new Promise((resolve) => {
        const cut = () => open.forEach((socket) => socket.destroy());
        // This timer does keep the process alive: the caller waits for the promise.
        const timer = setTimeout(cut, limits.closing);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        for (const socket of open) if (!busy.has(socket)) socket.destroy();
      });
      return closed;
    },
  };
}

function listen(server: Server, address: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The whole response to what isn't an HTTP request, as Node's own default has it. */
function refusal(code: string | undefined): string {
  const status = code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? "408 Request Timeout"
    : code === "HPE_HEADER_OVERFLOW"
    ? "431 Request Header Fields Too Large"
    : "400 Bad Request";
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}
