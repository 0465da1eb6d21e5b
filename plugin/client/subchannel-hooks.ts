/**
 * The boundary to grpc-js's connections. Only this file knows the private shape of its subchannels.
 * Their public interface reports that a connection ended, but not why.
 *
 * @module
 */
import { connectivityState as State } from "@grpc/grpc-js";
import type { ChannelInterface } from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import type { ClientHttp2Session } from "node:http2";
import { withMethods } from "../replace-method.ts";
import { activeContext } from "../tracing/call-context.ts";
import { shielded, warnOnce } from "../warning.ts";
import type { SubchannelMetrics, SubchannelRecorder } from "./subchannel-metrics.ts";

/** grpc-js's `Http2Transport`: one connection. */
interface Transport {
  readonly session?: ClientHttp2Session;
  /** Whether the connection itself ended, rather than its subchannel. */
  readonly disconnectHandled?: boolean;
}

/** grpc-js's `Subchannel`: one address, connected or not. */
export interface Subchannel {
  /** Null without a connection, and while listeners are told of a new one. */
  readonly transport?: Transport | null;
  getConnectivityState(): State;
  addConnectivityStateListener(
    listener: (subchannel: unknown, previous: State, current: State) => void,
  ): void;
}

interface SubchannelPool {
  getOrCreateSubchannel(...args: unknown[]): Subchannel;
  unrefUnusedSubchannels(): void;
}

interface InternalChannel {
  subchannelPool: SubchannelPool;
  /** The subchannels that the channel's load balancer holds. */
  readonly wrappedSubchannels?: Iterable<{ getRealSubchannel(): Subchannel }>;
}

function hasSubchannelPool(value: unknown): value is InternalChannel {
  const pool = (value as Partial<InternalChannel> | undefined)?.subchannelPool;
  return typeof pool?.getOrCreateSubchannel === "function";
}

/**
 * Records the connections of a channel, also those that are open already. If this version of grpc-js
 * has no known subchannel pool, warns once and records nothing.
 */
export function hookSubchannels(
  channel: ChannelInterface,
  metrics: SubchannelMetrics,
): void {
  eachSubchannel(channel, "subchannel", (subchannel) => hookSubchannel(subchannel, metrics));
}

/**
 * Calls a function with each subchannel that a channel has, and with each that it gets. If this version
 * of grpc-js has no known subchannel pool, warns once and calls it never.
 *
 * @param metrics The metrics that the warning names.
 */
export function eachSubchannel(
  channel: ChannelInterface,
  metrics: string,
  use: (subchannel: Subchannel) => void,
): void {
  const internalChannel: unknown = "internalChannel" in channel
    ? channel.internalChannel
    : undefined;
  if (!hasSubchannelPool(internalChannel)) {
    warnOnce(
      `gRPC ${metrics} metrics are off: this version of @grpc/grpc-js has no InternalChannel with ` +
        "a subchannelPool",
    );
    return;
  }
  // Channels share the pool, so it must stay as it is for channels that are not recorded.
  const pool = internalChannel.subchannelPool;
  internalChannel.subchannelPool = withMethods(pool, {
    getOrCreateSubchannel(...args) {
      const subchannel = pool.getOrCreateSubchannel(...args);
      shielded(() => use(subchannel));
      return subchannel;
    },
    unrefUnusedSubchannels: () => pool.unrefUnusedSubchannels(),
  });
  for (const wrapped of internalChannel.wrappedSubchannels ?? []) {
    use(wrapped.getRealSubchannel());
  }
}

function hookSubchannel(
  subchannel: Subchannel,
  metrics: SubchannelMetrics,
): void {
  const recorder = metrics.recorderFor(subchannel);
  if (recorder === undefined) return;
  const hook = hooks.get(subchannel) ?? new SubchannelHook(subchannel);
  hooks.set(subchannel, hook);
  hook.add(recorder);
}

/** The hook of each subchannel. Channels and plugins may share subchannels. */
const hooks = new WeakMap<Subchannel, SubchannelHook>();

/** Watches the connections of a subchannel for all plugins that record it. */
class SubchannelHook {
  readonly #subchannel: Subchannel;
  readonly #recorders: SubchannelRecorder[] = [];
  #connection: Connection | undefined;
  /** The context of the call that the current connection was opened for, if it was. */
  #context: Context = ROOT_CONTEXT;

  constructor(subchannel: Subchannel) {
    this.#subchannel = subchannel;
    subchannel.addConnectivityStateListener((_, previous, current) =>
      shielded(() => this.#stateChanged(previous, current))
    );
    // If the transport is null, listeners are being told of a new connection, soon this one too.
    if (this.#isReady() && subchannel.transport !== null) {
      this.#connection = new Connection(subchannel.transport);
    }
  }

  add(recorder: SubchannelRecorder): void {
    this.#recorders.push(recorder);
    if (this.#connection !== undefined) {
      recorder.connected(this.#connection.securityLevel, this.#context);
    }
  }

  #isReady(): boolean {
    return this.#subchannel.getConnectivityState() === State.READY;
  }

  #stateChanged(previous: State, current: State): void {
    if (previous === State.READY) this.#disconnected();
    if (current === State.CONNECTING) this.#context = activeContext();
    if (current === State.READY) {
      // grpc-js sets the transport after it has called all listeners.
      queueMicrotask(() => shielded(() => this.#connected()));
    } else if (previous === State.CONNECTING && current === State.TRANSIENT_FAILURE) {
      for (const recorder of this.#recorders) recorder.connectionFailed(this.#context);
    }
  }

  #connected(): void {
    if (this.#connection !== undefined || !this.#isReady()) return;
    const connection = new Connection(this.#subchannel.transport);
    this.#connection = connection;
    for (const recorder of this.#recorders) {
      recorder.connected(connection.securityLevel, this.#context);
    }
  }

  #disconnected(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    const reason = connection.disconnectReason();
    for (const recorder of this.#recorders) {
      recorder.disconnected(reason, connection.securityLevel, this.#context);
    }
  }
}

/** The values of `grpc.security_level` that a grpc-js connection can have (gRFC A94). */
export type SecurityLevel = "none" | "privacy_and_integrity";

/** An open connection. */
class Connection {
  readonly securityLevel: SecurityLevel;
  readonly #transport: Transport | undefined;
  /** The first sign of why the connection ends. */
  #reason: string | undefined;

  constructor(transport: Transport | null | undefined) {
    this.#transport = transport ?? undefined;
    const session = transport?.session;
    this.securityLevel = session?.encrypted ? "privacy_and_integrity" : "none";
    if (session !== undefined) shielded(() => onEnd(session, (reason) => this.#reason ??= reason));
  }

  /** Returns why the connection ended. Called when its subchannel has left the state READY. */
  disconnectReason(): string {
    if (this.#reason !== undefined) return this.#reason;
    switch (this.#transport?.disconnectHandled) {
      case true:
        // Only a keepalive ping that is not answered ends a connection without any event.
        return "connection timed out";
      case false:
        return "subchannel shutdown";
      default:
        return "unknown";
    }
  }
}

/**
 * Calls `report` with each sign of why a session ends. The first one is the reason, unless grpc-js
 * itself ended the session.
 */
function onEnd(session: ClientHttp2Session, report: (reason: string) => void): void {
  // Listeners go before those of grpc-js, which change the state of the subchannel.
  const failed = (error: Error) => report(shielded(() => errorReason(error)) ?? "unknown");
  session.prependOnceListener("goaway", (code: number) => report(goAwayReason(code)));
  session.prependOnceListener("error", failed);
  session.prependOnceListener("close", () => report("unknown"));
  session.socket?.prependOnceListener?.("error", failed);
  session.socket?.prependOnceListener?.("close", () => report("unknown"));
}

/** The names of HTTP/2 error codes, indexed by code (RFC 9113). */
const ERROR_CODES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

function goAwayReason(code: number): string {
  // A peer may send any of 2^32 codes, and each name would create its own series.
  const name = ERROR_CODES[code];
  return name === undefined ? "unknown" : `GOAWAY ${name}`;
}

function errorReason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNRESET":
      return "connection reset";
    case "ETIMEDOUT":
      return "connection timed out";
    case "ECONNABORTED":
      return "connection aborted";
    default:
      return error.syscall === undefined ? "unknown" : "socket error";
  }
}
