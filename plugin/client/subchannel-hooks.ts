/**
 * The boundary to grpc-js's connections. Only this file knows the private shape of its subchannels.
 * Their public interface reports that a connection ended, but not why.
 *
 * @module
 */
import { connectivityState as State } from "@grpc/grpc-js";
import type { ChannelInterface } from "@grpc/grpc-js";
import type { ClientHttp2Session } from "node:http2";
import { replaceMethod, withMethods } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";
import type { SubchannelMetrics } from "./subchannel-metrics.ts";

/** grpc-js's `Http2Transport`: one connection. */
interface Transport {
  readonly session?: ClientHttp2Session;
  addDisconnectListener(listener: () => void): void;
}

interface Connector {
  connect(...args: unknown[]): Promise<Transport>;
}

/** grpc-js's `Subchannel`: one address, connected or not. */
interface Subchannel {
  readonly connector: Connector;
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
}

function hasSubchannelPool(value: unknown): value is InternalChannel {
  const pool = (value as Partial<InternalChannel> | undefined)?.subchannelPool;
  return typeof pool?.getOrCreateSubchannel === "function";
}

/**
 * Records the connections of a channel. A subchannel that several channels share is recorded once.
 * If this version of grpc-js has no known subchannel pool, warns once and records nothing.
 */
export function hookSubchannels(
  channel: ChannelInterface,
  metrics: SubchannelMetrics,
): void {
  const internalChannel: unknown = "internalChannel" in channel
    ? channel.internalChannel
    : undefined;
  if (!hasSubchannelPool(internalChannel)) {
    warnOnce(
      "gRPC subchannel metrics are off: this version of @grpc/grpc-js has no InternalChannel with " +
        "a subchannelPool",
    );
    return;
  }
  // Channels share the pool, so it must stay as it is for channels that are not recorded.
  const pool = internalChannel.subchannelPool;
  internalChannel.subchannelPool = withMethods(pool, {
    getOrCreateSubchannel(...args) {
      const subchannel = pool.getOrCreateSubchannel(...args);
      shielded(() => hookSubchannel(subchannel, metrics));
      return subchannel;
    },
    unrefUnusedSubchannels: () => pool.unrefUnusedSubchannels(),
  });
}

function hookSubchannel(
  subchannel: Subchannel,
  metrics: SubchannelMetrics,
): void {
  if (!metrics.isNew(subchannel)) return;
  /** Why the current connection ended, once that is known. */
  let reason: string | undefined;
  let securityLevel: SecurityLevel = "none";

  replaceMethod(
    subchannel.connector,
    "connect",
    (connect) =>
      async function (this: Connector, ...args) {
        const transport = await connect.apply(this, args);
        shielded(() => {
          reason = undefined;
          securityLevel = transport.session?.encrypted ? "privacy_and_integrity" : "none";
          onDisconnect(transport, (why) => reason ??= why);
        });
        return transport;
      },
  );

  subchannel.addConnectivityStateListener((_, previous, current) =>
    shielded(() => {
      if (previous === State.CONNECTING && current === State.READY) {
        metrics.connected(securityLevel);
      } else if (
        previous === State.CONNECTING && current === State.TRANSIENT_FAILURE
      ) {
        metrics.connectionFailed();
      } else if (previous === State.READY) {
        metrics.disconnected(reason ?? "subchannel shutdown", securityLevel);
      }
    })
  );
}

/** The values of `grpc.security_level` that a grpc-js connection can have (gRFC A94). */
export type SecurityLevel = "none" | "privacy_and_integrity";

/**
 * Calls `report` with each sign of why a connection ends; the first one is the reason. Does not call
 * it when the subchannel itself is shut down.
 */
function onDisconnect(
  transport: Transport,
  report: (reason: string) => void,
): void {
  // Listeners go before those of grpc-js, which change the state of the subchannel.
  const { session } = transport;
  const failed = (error: Error) => report(shielded(() => errorReason(error)) ?? "unknown");
  session?.prependOnceListener("goaway", (code: number) => report(goAwayReason(code)));
  session?.prependOnceListener("error", failed);
  session?.prependOnceListener("close", () => report("unknown"));
  session?.socket?.prependOnceListener?.("error", failed);
  session?.socket?.prependOnceListener?.("close", () => report("unknown"));
  // grpc-js reports a disconnect without any other event when a keepalive ping is not answered.
  transport.addDisconnectListener(() => report("connection timed out"));
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
