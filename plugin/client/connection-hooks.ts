/**
 * The boundary to how grpc-js's subchannels connect. Only this file knows that private shape.
 *
 * From grpc-js 1.13 on, a subchannel's `secureConnector` gets each TCP connection and does the TLS
 * handshake. Before, both are inside of an HTTP/2 session, which the subchannel's `connector` holds
 * until it is connected.
 *
 * @module
 */
import { connectivityState as State } from "@grpc/grpc-js";
import type { ChannelInterface } from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { ClientHttp2Session } from "node:http2";
import { ConnectionRecorders } from "../connections/connection-recorders.ts";
import type { ConnectionMetrics } from "../connections/connection-recorders.ts";
import { failedHandshake, finishedHandshake } from "../connections/handshake-result.ts";
import type { TlsSocketLike } from "../connections/handshake-result.ts";
import type { SocketLike } from "../connections/open-sockets.ts";
import { onAssigned } from "../on-assigned.ts";
import { replaceMethod } from "../replace-method.ts";
import { activeContext } from "../tracing/call-context.ts";
import { shielded, warnOnce } from "../warning.ts";
import { eachSubchannel } from "./subchannel-hooks.ts";
import type { Subchannel } from "./subchannel-hooks.ts";

/** grpc-js's `SecureConnector`, from 1.13 on. */
interface SecureConnector {
  connect(socket: SocketLike): Promise<{
    readonly socket: TlsSocketLike;
    readonly secure: boolean;
  }>;
}

/** grpc-js's `Http2SubchannelConnector`. */
interface SessionConnector {
  /** The session that is connecting. */
  session: ClientHttp2Session | null;
}

/** The parts of grpc-js's `Subchannel` that this file uses. */
interface ConnectingSubchannel extends Subchannel {
  readonly secureConnector?: SecureConnector;
  readonly connector?: SessionConnector;
  readonly credentials?: { _isSecure(): boolean };
}

/**
 * Records the TCP connections of a channel, also those that are open already, and its TLS handshakes.
 * If this version of grpc-js lacks a member, warns once and records less.
 */
export function hookConnections(channel: ChannelInterface, metrics: ConnectionMetrics): void {
  eachSubchannel(channel, "handshake and TCP", (subchannel) => {
    const known = hooks.get(subchannel);
    const hook = known ?? new ConnectionHook(subchannel);
    hook.recorders.add(metrics);
    if (known !== undefined) return;
    hooks.set(subchannel, hook);
    hook.start();
  });
}

/** The hook of each subchannel. Channels and plugins may share subchannels. */
const hooks = new WeakMap<Subchannel, ConnectionHook>();

/** Watches how a subchannel connects for all plugins that record it. */
class ConnectionHook {
  readonly recorders: ConnectionRecorders;
  readonly #subchannel: ConnectingSubchannel;

  constructor(subchannel: ConnectingSubchannel) {
    this.recorders = new ConnectionRecorders(subchannel);
    this.#subchannel = subchannel;
  }

  start(): void {
    const { secureConnector, connector } = this.#subchannel;
    if (typeof secureConnector?.connect === "function") this.#hookSecureConnector(secureConnector);
    else if (connector?.session !== undefined) this.#hookSessions(connector);
    else {
      warnOnce(
        "gRPC handshake metrics are off, and TCP metrics lack connections that fail: this version of " +
          "@grpc/grpc-js has no Subchannel with secureConnector, nor with a connector that has a session",
      );
    }
    // A connection may be older than the hook.
    this.#subchannel.addConnectivityStateListener((_, __, current) => {
      // grpc-js sets the transport after it has called all listeners.
      if (current === State.READY) queueMicrotask(() => shielded(() => this.#connected()));
    });
    this.#connected();
  }

  #connected(): void {
    const session = this.#subchannel.transport?.session;
    if (session?.destroyed === false) this.recorders.opened(session.socket, ROOT_CONTEXT);
  }

  #hookSecureConnector(connector: SecureConnector): void {
    const { recorders } = this;
    replaceMethod(
      connector,
      "connect",
      (connect) =>
        function (this: SecureConnector, socket) {
          const context = activeContext();
          recorders.opened(socket, context);
          const connected = connect.call(this, socket);
          shielded(() =>
            connected.then(
              (result) =>
                recorders.handshakeEnded(
                  () => result.secure ? finishedHandshake(result.socket) : undefined,
                  context,
                ),
              (error) => recorders.handshakeEnded(() => failedHandshake(error), context),
            )
          );
          return connected;
        },
    );
  }

  /** Watches each session that begins to connect. */
  #hookSessions(connector: SessionConnector): void {
    onAssigned(connector, "session", (session) => {
      if (session !== null) this.#watchSession(session);
    });
  }

  #watchSession(session: ClientHttp2Session): void {
    const { recorders } = this;
    const context = activeContext();
    const { socket } = session;
    if (socket.connecting) socket.once("connect", () => recorders.opened(socket, context));
    else recorders.opened(socket, context);
    if (this.#subchannel.credentials?._isSecure() !== true) return;
    // Listeners go before that of grpc-js, which removes all of them.
    session.prependOnceListener(
      "connect",
      () => recorders.handshakeEnded(() => finishedHandshake(socket as TlsSocketLike), context),
    );
    session.prependOnceListener("error", (error: NodeJS.ErrnoException) => {
      // On Bun, HTTP/2 may fail before the session is connected.
      const isOfHandshake = error.syscall !== "connect" && !error.code?.startsWith("ERR_HTTP2_");
      if (isOfHandshake) recorders.handshakeEnded(() => failedHandshake(error), context);
    });
  }
}
