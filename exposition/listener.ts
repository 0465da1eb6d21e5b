/**
 * A small HTTP/1.1 listener for metrics: bounded in time, size and number of connections, and never
 * the reason why a process stays alive.
 *
 * @module
 */

import type { IncomingMessage, RequestListener, Server, ServerOptions } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { diag } from "@opentelemetry/api";
import type { ServerCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";

// An import of node:http makes Node.js load all of `fetch` and `WebSocket` too, whose getters it reads.
const { createServer } = process.getBuiltinModule("node:http");
const { createServer: createTlsServer } = process.getBuiltinModule("node:https");

/** What a client may use. Times in milliseconds. */
export interface ListenerLimits {
  /** Until all headers of a request are there; with TLS, until the handshake is over too. */
  readonly headers: number;
  /** Until all of a request is there. */
  readonly request: number;
  /** Between two requests on a connection. Longer than the usual scrape interval of a minute. */
  readonly idle: number;
  /** Until the next response is sent, while there are requests: more than a scrape may take. */
  readonly response: number;
  /** Requests on a connection that are not answered yet. With one more it is closed. */
  readonly pipelined: number;
  /** Of a request's headers, bytes. */
  readonly headerBytes: number;
  /**
   * Open at a time. For one more, one that has asked for nothing is closed, or else one that is idle,
   * so that nobody keeps others out by holding connections. More than the system hands over in one
   * go: of these none may be closed for the others. Bun counts those that have sent something.
   */
  readonly connections: number;
  /** What a request under way may still take once the listener is being closed. */
  readonly closing: number;
}

/** Made for a few scrapers and a browser. */
export const LISTENER_LIMITS: ListenerLimits = {
  headers: 5_000,
  request: 10_000,
  idle: 75_000,
  response: 45_000,
  pipelined: 16,
  headerBytes: 16_384,
  connections: 512,
  closing: 1_000,
};

/** A listener that accepts connections. */
export interface Listener {
  /** The port it got. */
  readonly port: number;
  /** Stops accepting, lets requests under way finish for a moment, then cuts them off. */
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
  const create = () => createLimited(handle, connections, tls?.value, limits);
  let server = create();
  await listen(server, host, wantedPort);
  const { port } = server.address() as AddressInfo;
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

interface Connection {
  /** The one over TLS once the handshake is over. */
  readonly socket: Socket;
  /** How many are under way: a client may send the next one before the first is answered. */
  requests: number;
  /** Whether one was answered. With authentication others are closed: whoever has it is known. */
  served: boolean;
  /** Until the next answer has to be sent. */
  timer?: NodeJS.Timeout;
}

/** Open connections, and which of them have requests under way. */
class Connections {
  readonly #limits: ListenerLimits;
  /** By the client's address and port; that of the latest event is the last. */
  readonly #open = new Map<string, Connection>();
  #finishing = false;

  constructor(limits: ListenerLimits) {
    this.#limits = limits;
  }

  /** Takes a new connection, or the one over TLS in its place. */
  add(socket: Socket): void {
    socket.unref();
    const client = clientOf(socket);
    this.#open.delete(client);
    const connection: Connection = { socket, requests: 0, served: false };
    this.#open.set(client, connection);
    socket.once("close", () => {
      clearTimeout(connection.timer);
      if (this.#open.get(client)?.socket === socket) this.#open.delete(client);
    });
    if (this.#open.size > this.#limits.connections) this.#makeRoom();
  }

  isBusy(socket: Socket): boolean {
    return (this.#open.get(clientOf(socket))?.requests ?? 0) > 0;
  }

  /** @returns what has to be called when the request is over; undefined if the connection is */
  begin(socket: Socket): (() => void) | undefined {
    const client = clientOf(socket);
    const connection = this.#open.get(client);
    if (connection === undefined) return undefined;
    if (connection.requests === this.#limits.pipelined) {
      this.#close(client, connection);
      return undefined;
    }
    connection.requests++;
    if (connection.requests === 1) this.#startTimer(connection);
    this.#touch(client, connection);
    return () => {
      clearTimeout(connection.timer);
      connection.requests--;
      connection.served = true;
      if (this.#open.get(client) !== connection) return;
      if (connection.requests > 0) return this.#startTimer(connection);
      this.#touch(client, connection);
      if (this.#finishing) socket.end();
    };
  }

  #startTimer(connection: Connection): void {
    const cut = () => connection.socket.destroy();
    connection.timer = setTimeout(cut, this.#limits.response).unref();
  }

  #touch(client: string, connection: Connection): void {
    this.#open.delete(client);
    this.#open.set(client, connection);
  }

  /**
   * Closes the oldest on which nothing was ever answered, or else the one that has been idle for
   * longest; the newest only if all others are busy.
   */
  #makeRoom(): void {
    const idle = [...this.#open].filter(([, { requests }]) => requests === 0);
    const newest = idle.pop();
    this.#close(...(idle.find(([, { served }]) => !served) ?? idle[0] ?? newest!));
  }

  #close(client: string, { socket }: Connection): void {
    this.#open.delete(client);
    socket.destroy();
  }

  /** Closes each connection as soon as no request is under way on it. */
  finish(): void {
    this.#finishing = true;
    for (const { socket, requests } of this.#open.values()) if (requests === 0) socket.destroy();
  }

  cut(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** A server that doesn't listen yet, over TLS if there are certificates. */
function createLimited(
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
  server.on("request", (request, response) => {
    const end = connections.begin(request.socket);
    if (end === undefined) return;
    response.once("close", end);
    // Nobody reads a body here, and Deno would wait for the end of one without a limit.
    if (hasBody(request)) response.setHeader("connection", "close");
    handle(request, response);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    // Nothing may be put into the middle of a response.
    if (socket.writable && !connections.isBusy(socket)) socket.end(refusal(error.code));
    else socket.destroy();
  });
  // A handshake that fails is the client's matter.
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  return server;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function logFailure(error: Error): void {
  diag.error(`The metrics listener failed: ${error.message}`);
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

/** The whole response to what isn't an HTTP request, as Node's own default has it. */
function refusal(code: string | undefined): string {
  const status = code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? "408 Request Timeout"
    : code === "HPE_HEADER_OVERFLOW"
    ? "431 Request Header Fields Too Large"
    : "400 Bad Request";
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}
