/**
 * Tracks the open connections of a listener, and limits what each may use.
 *
 * @module
 */

import type { Socket } from "node:net";

/** The limits for clients. Times are in milliseconds. */
export interface ListenerLimits {
  /** How long the headers of a request may take to arrive. Also limits the handshake of TLS. */
  readonly headers: number;
  /** How long a whole request may take to arrive. */
  readonly request: number;
  /** How long a connection may be idle: longer than the usual scrape interval of a minute. */
  readonly idle: number;
  /** How long the next response may take while requests are pending: longer than a scrape. */
  readonly response: number;
  /**
   * The number of unanswered requests on a connection, and of requests that arrive in one turn of
   * the event loop. One more closes the connection. The second count works around Bun, where an
   * answer counts as sent before the client has read it: a client could send thousands of requests.
   */
  readonly pipelined: number;
  /** The size of a request's headers, in bytes. */
  readonly headerBytes: number;
  /**
   * The number of open connections. One more closes a connection without any answered request, or
   * else an idle one, so that no client keeps others out by holding connections. The limit exceeds
   * the number of connections that the system hands over at once, because none of these may be
   * closed for another. Bun reports a connection only after its first byte.
   */
  readonly connections: number;
  /** How long requests in progress may still take after the listener starts to close. */
  readonly closing: number;
}

/** Limits for a few scrapers and a browser. */
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

interface Connection {
  /** The socket; once the handshake is over, the TLS socket. */
  readonly socket: Socket;
  /** The number of requests in progress: clients may pipeline them. */
  requests: number;
  /** The number of requests that arrived in this turn of the event loop. */
  arrived: number;
  /** Whether any request was answered. A refused request closes its connection instead. */
  served: boolean;
  /** Cuts the connection when the next answer takes too long. */
  timer?: NodeJS.Timeout;
}

/** Tracks open connections and the requests in progress on each. */
export class Connections {
  readonly #limits: ListenerLimits;
  /** Connections by the client's address and port, the most recently used last. */
  readonly #open = new Map<string, Connection>();
  #finishing = false;

  constructor(limits: ListenerLimits) {
    this.#limits = limits;
  }

  /** Adds a new connection, or replaces its socket by its TLS socket. */
  add(socket: Socket): void {
    socket.unref();
    const client = clientOf(socket);
    this.#open.delete(client);
    const connection: Connection = { socket, requests: 0, arrived: 0, served: false };
    this.#open.set(client, connection);
    socket.once("close", () => {
      clearTimeout(connection.timer);
      if (this.#open.get(client)?.socket === socket) this.#open.delete(client);
    });
    if (this.#open.size > this.#limits.connections) this.#makeRoom();
  }

  /**
   * Counts a request.
   *
   * @returns a function to call when the request is over; undefined if the connection is closed
   */
  begin(socket: Socket): (() => void) | undefined {
    const client = clientOf(socket);
    const connection = this.#open.get(client);
    if (connection === undefined) return undefined;
    const { pipelined } = this.#limits;
    if (connection.requests === pipelined || connection.arrived === pipelined) {
      this.#close(client, connection);
      return undefined;
    }
    connection.arrived++;
    if (connection.arrived === 1) setImmediate(() => connection.arrived = 0);
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

  /**
   * Sends a last response and closes the connection. A client that holds its side open is cut off.
   * A connection with requests in progress is cut off at once: nothing may be written into the
   * middle of a response.
   *
   * @param response the whole response, head and body
   */
  refuse(socket: Socket, response: string): void {
    const busy = (this.#open.get(clientOf(socket))?.requests ?? 0) > 0;
    if (busy || !socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(response);
    // Node has no listener of its own on the socket of a CONNECT request.
    socket.on("error", () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), this.#limits.closing).unref();
    socket.once("close", () => clearTimeout(timer));
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
   * Closes the oldest connection without any answered request, or else the one that has been idle
   * longest. Closes the newest one only if all others are busy.
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

  /** Closes each connection as soon as no request is in progress on it. */
  finish(): void {
    this.#finishing = true;
    for (const { socket, requests } of this.#open.values()) if (requests === 0) socket.destroy();
  }

  /** Closes all connections at once. */
  cut(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
