/**
 * The boundary to the connections of grpc-js's servers. Only this file knows where their HTTP/2 servers
 * are, of which it uses the public events.
 *
 * @module
 */
import type { Server } from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import { ConnectionRecorders } from "../connections/connection-recorders.ts";
import type { ConnectionMetrics } from "../connections/connection-recorders.ts";
import { failedHandshake, finishedHandshake } from "../connections/handshake-result.ts";
import type { Handshake, TlsSocketLike } from "../connections/handshake-result.ts";
import type { SocketLike } from "../connections/open-sockets.ts";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";

/** The parts of grpc-js's `Server` that this file uses. */
interface ServerInternals {
  /** The servers that listen on a port, and those that a connection injector feeds. */
  http2Servers: Map<EventEmitter, { readonly sessions?: Iterable<ServerHttp2Session> }>;
}

function hasInternals(server: object): server is ServerInternals {
  return "http2Servers" in server && server.http2Servers instanceof Map;
}

/**
 * Records the TCP connections of a server, also those that are open already, and its TLS handshakes. If
 * this version of grpc-js has a different server, warns once and records nothing.
 */
export function hookServerConnections(server: Server, metrics: ConnectionMetrics): void {
  const internals: object = server;
  if (!hasInternals(internals)) {
    warnOnce(
      "gRPC handshake and TCP metrics of servers are off: this version of @grpc/grpc-js has no Server " +
        "with http2Servers",
    );
    return;
  }
  const { http2Servers } = internals;
  for (const [http2Server, { sessions }] of http2Servers) hook(http2Server, metrics, sessions);
  // An HTTP/2 server is in the map before its first connection.
  replaceMethod(
    http2Servers,
    "set",
    (set) =>
      function (this: typeof http2Servers, http2Server, ...rest) {
        shielded(() => hook(http2Server, metrics));
        return set.call(this, http2Server, ...rest);
      },
  );
}

/** The hook of each HTTP/2 server. Several plugins may record one server. */
const hooks = new WeakMap<EventEmitter, Http2ServerHook>();

function hook(
  http2Server: EventEmitter,
  metrics: ConnectionMetrics,
  sessions: Iterable<ServerHttp2Session> = [],
): void {
  const known = hooks.get(http2Server);
  const hook = known ?? new Http2ServerHook(http2Server);
  hook.recorders.add(metrics);
  if (known !== undefined) return;
  hooks.set(http2Server, hook);
  hook.start(sessions);
}

/** Watches the connections of an HTTP/2 server for all plugins that record it. */
class Http2ServerHook {
  readonly recorders: ConnectionRecorders;
  readonly #http2Server: EventEmitter;
  /** The sockets whose handshake ended. A runtime may report an error and then the close. */
  readonly #ended = new WeakSet<TlsSocketLike>();

  constructor(http2Server: EventEmitter) {
    this.recorders = new ConnectionRecorders(http2Server);
    this.#http2Server = http2Server;
  }

  /** @param sessions The connections that are open. */
  start(sessions: Iterable<ServerHttp2Session>): void {
    for (const session of sessions) {
      if (!session.destroyed) this.#opened(session.socket);
    }
    // Listeners go before those of Node and grpc-js, which may close the socket.
    this.#http2Server
      .prependListener("connection", (socket: SocketLike) => this.#opened(socket))
      .prependListener("secureConnection", (socket: SocketLike & TlsSocketLike) => {
        this.#opened(socket);
        this.#handshakeEnded(socket, () => finishedHandshake(socket));
      })
      .prependListener("tlsClientError", (error: unknown, socket: TlsSocketLike) => {
        this.#handshakeEnded(socket, () => failedHandshake(socket.authorizationError ?? error));
      });
  }

  #opened(socket: SocketLike): void {
    this.recorders.opened(socket, ROOT_CONTEXT);
  }

  #handshakeEnded(socket: TlsSocketLike, handshake: () => Handshake): void {
    this.recorders.handshakeEnded(() => {
      if (this.#ended.has(socket)) return undefined;
      this.#ended.add(socket);
      return handshake();
    }, ROOT_CONTEXT);
  }
}
