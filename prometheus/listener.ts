/**
 * A small HTTP/1.1 listener for metrics. It limits time, sizes and the number of connections, and
 * never keeps the process alive.
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
import { listenExclusively } from "./bun-cluster.ts";
import { Connections, LISTENER_LIMITS, type ListenerLimits } from "./connections.ts";
import { log } from "./log.ts";

// Importing node:http makes Node.js read all its getters, and so load `fetch` and `WebSocket`.
const { createServer } = process.getBuiltinModule("node:http");
const { createServer: createTlsServer } = process.getBuiltinModule("node:https");

/** A listener that accepts connections. */
export interface Listener {
  /** The IP address that it is bound to. */
  readonly address: string;
  /** The port that it is bound to. */
  readonly port: number;
  /** Stops accepting connections. Requests in progress may finish within the closing limit. */
  close(): Promise<void>;
}

/** Options of {@linkcode startListener}. */
export interface ListenerOptions {
  /** The host name or IP address to listen on. */
  readonly host: string;
  /** The TCP port. 0 means any free port. */
  readonly port: number;
  /** Certificates for TLS. When they change, new connections use the new ones. */
  readonly tls?: WatchedFiles<ServerCertificates> | undefined;
}

/**
 * Starts a listener.
 *
 * @param handle answers a request; must not throw
 * @param options where to listen
 * @param limits the limits; tests change them
 * @throws {Error} the runtime's error if the address is not available, with a `code` such as
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
  /**
   * Works around Bun, whose HTTPS servers cannot change their certificate: a new server takes over
   * the port, while the old one serves the connections that it has accepted.
   */
  const replaceServer = async () => {
    server.close();
    server = create();
    await listen(server, host, port);
    if (closed !== undefined) server.close();
  };
  const stop = tls?.onChange((certificates) => {
    if ("setSecureContext" in server) server.setSecureContext(certificates);
    else replaceServer().catch(logFailure);
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
        // This timer keeps the process alive on purpose: the caller awaits the promise.
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

/** The events with which `node:http` and `node:https` deliver a request and its response. */
const REQUEST_EVENTS = ["request", "checkContinue", "checkExpectation"] as const;

/**
 * Creates a server that does not listen yet. All its events are subject to the same limits. A request
 * for an upgrade is a plain request, because there is no listener for `upgrade`.
 *
 * @param handle answers a request; must not throw
 * @param connections tracks the server's connections
 * @param certificates the certificates for TLS, or undefined for plain HTTP
 * @param limits the limits for clients
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
    // Node's own check answers before the limits apply; `hasValidHost` replaces it.
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
      // No handler reads bodies. Works around Deno, which waits for their end without a limit.
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
  // A failed handshake is not an error of this process.
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  return server;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Returns whether the number of Host headers is valid: one, or none in HTTP/1.0 (RFC 9112, 3.2). */
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
    listenExclusively(server);
    // Workers of a cluster would share the port, and each scrape would read another one of them.
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", logFailure);
      server.unref();
      resolve();
    });
  });
}

/** The statuses for errors of the HTTP parser, as in Node's default handler. Others are 400. */
const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** Returns a whole response, for sockets without a `ServerResponse`. */
function refusal(status: string): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}
