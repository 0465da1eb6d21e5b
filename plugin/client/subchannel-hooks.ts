/**
 * The boundary to grpc-js's connections: the only file that knows the private shape of its
 * subchannels. Their public interface tells that a connection ended, never why.
 */
import { connectivityState as State } from "@grpc/grpc-js";
import type { ChannelInterface } from "@grpc/grpc-js";
import type { ClientHttp2Session } from "node:http2";
import type { SubchannelMetrics } from "./subchannel-metrics.ts";
import { shielded, warnOnce } from "../warning.ts";

/** grpc-js's `Http2Transport`: one connection. */
interface Transport {
  readonly session?: ClientHttp2Session;
  addDisconnectListener(listener: () => void): void;
}

/** grpc-js's `Subchannel`: one address, connected or not. */
interface Subchannel {
  readonly connector: { connect(...args: unknown[]): Promise<Transport> };
  getConnectivityState(): State;
  addConnectivityStateListener(
    listener: (subchannel: unknown, previous: State, current: State) => void,
  ): void;
}

interface SubchannelPool {
  getOrCreateSubchannel(...args: unknown[]): Subchannel;
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
 * On a grpc-js whose insides look different nothing is recorded, with one warning.
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
  internalChannel.subchannelPool = new Proxy(internalChannel.subchannelPool, {
    get(pool, name) {
      const member: unknown = Reflect.get(pool, name);
      if (typeof member !== "function") return member;
      if (name !== "getOrCreateSubchannel") return member.bind(pool);
      return (...args: unknown[]) => {
        const subchannel = pool.getOrCreateSubchannel(...args);
        shielded(() => hookSubchannel(subchannel, metrics));
        return subchannel;
      };
    },
  });
}

function hookSubchannel(
  subchannel: Subchannel,
  metrics: SubchannelMetrics,
): void {
  if (!metrics.isNew(subchannel)) return;
  /** Why the current connection ends, as soon as that is known. */
  let reason: string | undefined;
  let securityLevel: SecurityLevel = "none";

  const { connector } = subchannel;
  const connect = connector.connect;
  connector.connect = async function (...args) {
    const transport = await connect.apply(this, args);
    shielded(() => {
      reason = undefined;
      securityLevel = transport.session?.encrypted ? "privacy_and_integrity" : "none";
      onDisconnect(transport, (why) => reason ??= why);
    });
    return transport;
  };

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

/** The values of `grpc.security_level` that a connection of grpc-js can have (gRFC A94). */
export type SecurityLevel = "none" | "privacy_and_integrity";

/** Tells the first reason that is seen; nothing when the subchannel itself is shut down. */
function onDisconnect(
  transport: Transport,
  tell: (reason: string) => void,
): void {
  // Before grpc-js's own listeners: those tell the subchannel.
  const { session } = transport;
  const failed = (error: Error) => tell(shielded(() => ofError(error)) ?? "unknown");
  session?.prependOnceListener("goaway", (code: number) => tell(goAway(code)));
  session?.prependOnceListener("error", failed);
  session?.prependOnceListener("close", () => tell("unknown"));
  session?.socket?.prependOnceListener?.("error", failed);
  session?.socket?.prependOnceListener?.("close", () => tell("unknown"));
  // What grpc-js reports although nothing happened is a keepalive ping that was not answered.
  transport.addDisconnectListener(() => tell("connection timed out"));
}

/** RFC 9113's error codes: each stands at its number. */
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

function goAway(code: number): string {
  // The peer may send any of 2^32 numbers; each would be a series of its own.
  const name = ERROR_CODES[code];
  return name === undefined ? "unknown" : `GOAWAY ${name}`;
}

function ofError(error: NodeJS.ErrnoException): string {
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
