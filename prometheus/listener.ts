/**
 * A small HTTP/1.1 listener for metrics: bounded in time, size and number of connections, and never
 * the reason why a process stays alive.
 *
 * @module
 */

import type {
  IncomingMessage,
  RequestListener,
  Server,
  ServerOptions,
  ServerResponse,
} from "node:http";
import type { Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { ServerCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";
import { Connections, LISTENER_LIMITS, type ListenerLimits } from "./connections.ts";
import { log } from "./log.ts";

// An import of node:http makes Node.js load all of `fetch` and `WebSocket` too, whose getters it reads.
const { createServer } = process.getBuiltinModule("node:http");
const { createServer: createTlsServer } = process.getBuiltinModule("node:https");

/** A listener that accepts connections. */
export interface Listener {
  /** The IP address it is bound to. */
  readonly address: string;
  /** The port it is bound to. */
  readonly port: number;
  /** Stops accepting, lets requests in progress finish for a moment, then cuts them off. */
  close(): Promise<void>;
}

/** Where to listen, and how. */
export interface ListenerOptions {
  readonly host: string;
  /** 0 is any free port. */
  readonly port: number;
  /** Certificates, for TLS; new connections get new ones. */
  readonly tls?: WatchedFiles<ServerCertificates> | undefined;
}

/**
 * Starts to listen.
 *
 * @param handle answers a request; must not throw
 * @param options where to listen
 * @param limits for tests
 * @throws {Error} the runtime's error when the address can't be had, `code` is for example
 *   `EADDRINUSE`
 */
export async function startListener(
  handle: RequestListener,
  { host, port: wantedPort, tls }: ListenerOptions,
  limits: ListenerLimits = LISTENER_LIMITS,
): Promise<Listener> {
  const connections = new Connections(limits);
  const create = () => createLimitedServer(handle, connections, tls?.value, limits);
  let server = create();
  await listen(server, host, wantedPort);
  const { address, port } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  /** On Bun, an HTTPS server keeps its certificate. What it has accepted it goes on to serve. */
  const replace = async () => {
    server.close();
    server = create();
    await listen(server, host, port);
    if (closed !== undefined) server.close();
  };
  const stop = tls?.onChange((certificates) => {
    if ("setSecureContext" in server) server.setSecureContext(certificates);
    else replace().catch(logFailure);
  });
  return {
    address,
    port,
    close() {
      stop?.();
      closed ??= new Promise((resolve) => {
        const cut = () => {
          connections.cut();
          resolve();
        };
        // This timer does keep the process alive: the caller waits for the promise.
        const timer = setTimeout(cut, limits.closing);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        connections.finish();
      });
      return closed;
    },
  };
}

/** Events with which `node:http` and `node:https` pass on a request and its response. */
const REQUEST_EVENTS = ["request", "checkContinue", "checkExpectation"] as const;

/**
 * Creates a server that does not listen yet. Whatever reaches it, by any of its events, is subject
 * to the same limits: a request that asks for an upgrade is a plain request, as there is no listener
 * for `upgrade`.
 *
 * @param handle answers a request; must not throw
 * @param certificates for TLS; undefined for plain HTTP
 */
export function createLimitedServer(
  handle: RequestListener,
  connections: Connections,
  certificates: ServerCertificates | undefined,
  limits: ListenerLimits,
): Server | TlsServer {
  const options: ServerOptions = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headers,
    requestTimeout: limits.request,
    keepAliveTimeout: limits.idle,
    connectionsCheckingInterval: Math.min(1_000, limits.headers),
    // Node's own answer would pass by the limits.
    requireHostHeader: false,
  };
  const server = certificates === undefined ? createServer(options) : createTlsServer({
    ...options,
    ...certificates,
    handshakeTimeout: limits.headers,
    requestCert: certificates.ca !== undefined,
  });
  for (const event of ["connection", "secureConnection"]) {
    server.on(event, (socket: Socket) => connections.add(socket));
  }
  for (const event of REQUEST_EVENTS) {
    server.on(event, (request: IncomingMessage, response: ServerResponse) => {
      const end = connections.begin(request.socket);
      if (end === undefined) return;
      response.once("close", end);
      // Nobody reads a body here, and Deno would wait for the end of one without a limit.
      if (hasBody(request)) response.setHeader("connection", "close");
      if (hasValidHost(request)) return handle(request, response);
      response.writeHead(400, { "connection": "close", "content-length": 0 }).end();
    });
  }
  server.on("connect", (_request: IncomingMessage, socket: Socket) => {
    connections.refuse(socket, refusal("405 Method Not Allowed"));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    connections.refuse(socket, refusal(CLIENT_ERRORS[error.code ?? ""] ?? "400 Bad Request"));
  });
  // A handshake that fails is the client's matter.
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  return server;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** A request of HTTP/1.1 has exactly one Host header (RFC 9112, section 3.2). */
function hasValidHost({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() === "host") hosts++;
  }
  return hosts === 1 || (hosts === 0 && httpVersion === "1.0");
}

function logFailure(error: Error): void {
  log.error(`The metrics listener failed: ${error.message}`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      server.on("error", logFailure);
      server.unref();
      resolve();
    });
  });
}

/** Statuses of requests that cannot be parsed, as Node's own default has them. */
const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** A whole response, for a socket that has no `ServerResponse`. */
function refusal(status: string): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}
