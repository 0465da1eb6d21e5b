import type { Context } from "@opentelemetry/api";
import type { Endpoints, TcpRecorder } from "./tcp-metrics.ts";

/** The part of a socket that is read. A connection that is injected may be another kind of stream. */
export interface SocketLike {
  readonly destroyed?: boolean;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  once(event: "close", listener: () => void): unknown;
}

/** The open connections of one source, recorded for all plugins. */
export class OpenSockets {
  readonly #recorders: TcpRecorder[] = [];
  readonly #open = new Map<string | SocketLike, OpenSocket>();

  /** Records the connections that are open, and those that open from now on. */
  add(recorder: TcpRecorder): void {
    this.#recorders.push(recorder);
    for (const socket of this.#open.values()) socket.record(recorder);
  }

  /**
   * Called when a connection opens, or is found open. Reads its addresses, which a socket forgets when
   * it closes. A second socket between the same two addresses is the same connection under TLS.
   *
   * @param context The context of the call that the connection was opened for.
   */
  opened(socket: SocketLike, context: Context): void {
    const endpoints = endpointsOf(socket);
    const key = socket.remotePort === undefined ? socket : Object.values(endpoints).join(" ");
    if (socket.destroyed === true || this.#open.has(key)) return;
    const opened = new OpenSocket(endpoints, context);
    this.#open.set(key, opened);
    socket.once("close", () => {
      this.#open.delete(key);
      opened.closed();
    });
    for (const recorder of this.#recorders) opened.record(recorder);
  }
}

/** An open connection. */
class OpenSocket {
  readonly #endpoints: Endpoints;
  readonly #context: Context;
  readonly #onClose: (() => void)[] = [];

  constructor(endpoints: Endpoints, context: Context) {
    this.#endpoints = endpoints;
    this.#context = context;
  }

  record(recorder: TcpRecorder): void {
    const close = recorder.opened(this.#endpoints, this.#context);
    if (close !== undefined) this.#onClose.push(close);
  }

  closed(): void {
    for (const close of this.#onClose) close();
  }
}

function endpointsOf(socket: SocketLike): Endpoints {
  return {
    "network.local.address": address(socket.localAddress),
    "network.local.port": port(socket.localPort),
    "network.peer.address": address(socket.remoteAddress),
    "network.peer.port": port(socket.remotePort),
  };
}

/** Shows an IPv4 address as such, also when it arrives at an IPv6 socket. Unix sockets have none. */
function address(value: string | undefined): string {
  return value?.replace(/^::ffff:(?=\d+\.)/i, "") ?? "";
}

function port(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}
