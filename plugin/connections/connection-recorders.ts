import type { Context } from "@opentelemetry/api";
import { shielded } from "../warning.ts";
import type { HandshakeMetrics } from "./handshake-metrics.ts";
import type { Handshake } from "./handshake-result.ts";
import { OpenSockets } from "./open-sockets.ts";
import type { SocketLike } from "./open-sockets.ts";
import type { TcpMetrics } from "./tcp-metrics.ts";

/** What records the connections of a channel or server for one plugin. */
export interface ConnectionMetrics {
  /** Undefined if the metric is off. */
  readonly handshakes: HandshakeMetrics | undefined;
  /** Undefined if all of these metrics are off. */
  readonly tcp: TcpMetrics | undefined;
}

/** Records the connections of one source, a subchannel or an HTTP/2 server, for all plugins. */
export class ConnectionRecorders {
  readonly #source: object;
  readonly #sockets = new OpenSockets();
  readonly #handshakes: HandshakeMetrics[] = [];

  constructor(source: object) {
    this.#source = source;
  }

  /** Records for one more plugin, also the connections that are open. */
  add({ handshakes, tcp }: ConnectionMetrics): void {
    if (handshakes?.startsToCount(this.#source)) this.#handshakes.push(handshakes);
    const recorder = tcp?.recorderFor(this.#source);
    if (recorder !== undefined) this.#sockets.add(recorder);
  }

  /**
   * Called when a connection opens, or is found open. Never throws.
   *
   * @param context The context of the call that the connection was opened for.
   */
  opened(socket: SocketLike, context: Context): void {
    shielded(() => this.#sockets.opened(socket, context));
  }

  /**
   * Called when a handshake ends. Never throws.
   *
   * @param handshake Returns how it ended. Undefined if there was none.
   * @param context The context of the call that the connection was opened for.
   */
  handshakeEnded(handshake: () => Handshake | undefined, context: Context): void {
    shielded(() => {
      const ended = handshake();
      if (ended === undefined) return;
      for (const metrics of this.#handshakes) metrics.ended(ended, context, this.#source);
    });
  }
}
