/**
 * The client's boundary to grpc-js: the only file that knows the private shape of its channels.
 *
 * grpc-js has no stats hook, and client interceptors see calls, never attempts. What sees both is
 * the channel's internal channel: it makes one object per call and one per attempt. Its methods are
 * replaced on the one instance; no prototype is touched, so other channels are not affected.
 */
import type { ChannelInterface } from "@grpc/grpc-js";
import type { ClientMetrics } from "./client-metrics.ts";
import type { Exchange } from "./exchange.ts";
import { messageLength } from "./message-frames.ts";
import { shielded, warnOnce } from "./warning.ts";

interface StatusObject {
  readonly code: number;
}

/** What an attempt tells the call that it belongs to. */
interface AttemptListener {
  onReceiveMetadata(metadata: unknown): void;
  onReceiveMessage(message: Uint8Array): void;
  onReceiveStatus(status: StatusObject): void;
}

/** grpc-js's `LoadBalancingCall`: one attempt. */
interface LoadBalancingCall {
  /** The call on a connection; null until a subchannel is picked. */
  child: object | null;
  start(metadata: unknown, listener: AttemptListener): void;
  sendMessageWithContext(context: unknown, message: Uint8Array): void;
}

/** grpc-js's `ResolvingCall`: one call. */
interface ResolvingCall {
  addStatusWatcher(watcher: (status: StatusObject) => void): void;
}

/** grpc-js's `InternalChannel`, as far as it is used here. */
interface InternalChannel {
  createCall(method: string, ...rest: unknown[]): ResolvingCall;
  createLoadBalancingCall(config: unknown, method: string, ...rest: unknown[]): LoadBalancingCall;
}

function isInternalChannel(value: unknown): value is InternalChannel {
  return typeof value === "object" && value !== null &&
    "createCall" in value && typeof value.createCall === "function" &&
    "createLoadBalancingCall" in value && typeof value.createLoadBalancingCall === "function";
}

/**
 * Records every call and attempt of a channel. A channel of a grpc-js whose insides look different
 * stays as it is, with one warning.
 */
export function hookChannel(channel: ChannelInterface, metrics: ClientMetrics): void {
  const internalChannel: unknown = "internalChannel" in channel
    ? channel.internalChannel
    : undefined;
  if (!isInternalChannel(internalChannel)) {
    warnOnce(
      "gRPC client metrics are off: this version of @grpc/grpc-js has no " +
        "InternalChannel with createCall and createLoadBalancingCall",
    );
    return;
  }

  const createCall = internalChannel.createCall;
  internalChannel.createCall = function (method, ...rest) {
    const call = createCall.call(this, method, ...rest);
    shielded(() => {
      const recorded = metrics.startCall(method);
      call.addStatusWatcher((status) => shielded(() => recorded.end(status.code)));
    });
    return call;
  };

  const createLoadBalancingCall = internalChannel.createLoadBalancingCall;
  internalChannel.createLoadBalancingCall = function (config, method, ...rest) {
    const call = createLoadBalancingCall.call(this, config, method, ...rest);
    shielded(() => hookAttempt(call, metrics.startAttempt(method)));
    return call;
  };
}

function hookAttempt(call: LoadBalancingCall, exchange: Exchange): void {
  const { start, sendMessageWithContext } = call;
  /** Grpc-js holds one message back until a subchannel is picked: it is not sent before that. */
  let pendingBytes = 0;

  call.start = function (metadata, listener) {
    start.call(this, metadata, {
      onReceiveMetadata: (received) => listener.onReceiveMetadata(received),
      onReceiveMessage: (message) => {
        shielded(() => exchange.received(messageLength(message)));
        listener.onReceiveMessage(message);
      },
      onReceiveStatus: (status) => {
        shielded(() => {
          if (call.child !== null) exchange.sent(pendingBytes);
          exchange.end(status.code);
        });
        listener.onReceiveStatus(status);
      },
    });
  };

  call.sendMessageWithContext = function (context, message) {
    sendMessageWithContext.call(this, context, message);
    shielded(() => {
      if (this.child !== null) exchange.sent(messageLength(message));
      else pendingBytes = messageLength(message);
    });
  };
}
