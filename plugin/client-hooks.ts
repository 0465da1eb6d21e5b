/**
 * The client's boundary to grpc-js: the only file that knows the private shape of its channels.
 *
 * grpc-js has no stats hook, and client interceptors see calls, never attempts. What sees both is
 * the channel's internal channel: it makes one object per call and one per attempt. Its methods are
 * replaced on the one instance; no prototype is touched, so other channels are not affected.
 */
import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import type { ClientAttempt, ClientCall, ClientTelemetry, RpcStatus } from "./client-call.ts";
import { hookPublicChannel } from "./client-fallback.ts";
import { shielded, warnOfFailure, warnOnce } from "./warning.ts";

/** What an attempt tells the call that it belongs to. */
interface AttemptListener {
  onReceiveMetadata(metadata: Metadata): void;
  onReceiveMessage(message: Uint8Array): void;
  onReceiveStatus(status: RpcStatus): void;
}

/** grpc-js's `LoadBalancingCall`: one attempt. */
interface LoadBalancingCall {
  /** The call on a connection; null until a subchannel is picked. */
  child: object | null;
  start(metadata: Metadata, listener: AttemptListener): void;
  sendMessageWithContext(context: unknown, message: Uint8Array): void;
}

/** grpc-js's `ResolvingCall`: one call. */
interface ResolvingCall {
  addStatusWatcher(watcher: (status: RpcStatus) => void): void;
  /** Asks the channel for the call's configuration, again when the name was not resolved yet. */
  getConfig(): void;
}

/** What the name's resolution says of how a method is called; made for one call. */
interface CallConfig {
  readonly methodConfig?: {
    readonly retryPolicy?: object;
    readonly hedgingPolicy?: object;
  };
}

type ConfigResult =
  | { readonly type: "SUCCESS"; readonly config: CallConfig }
  | { readonly type: "NONE" | "ERROR" };

/** grpc-js's `InternalChannel`, as far as it is used here. */
interface InternalChannel {
  createCall(method: string, ...rest: unknown[]): ResolvingCall;
  getConfig(method: string, metadata: Metadata): ConfigResult;
  createLoadBalancingCall(
    config: CallConfig,
    method: string,
    ...rest: unknown[]
  ): LoadBalancingCall;
  queueCallForPick(call: LoadBalancingCall): void;
}

const METHODS = [
  "createCall",
  "getConfig",
  "createLoadBalancingCall",
  "queueCallForPick",
] as const;

function isInternalChannel(value: unknown): value is InternalChannel {
  return typeof value === "object" && value !== null &&
    METHODS.every((name) => typeof (value as Partial<InternalChannel>)[name] === "function");
}

/**
 * Records every call and attempt of a channel. Of a channel of a grpc-js whose insides look
 * different only calls are recorded, with one warning.
 */
export function hookChannel(
  channel: ChannelInterface,
  telemetry: ClientTelemetry,
): void {
  const internalChannel: unknown = "internalChannel" in channel
    ? channel.internalChannel
    : undefined;
  if (isInternalChannel(internalChannel)) {
    hookInternalChannel(internalChannel, telemetry);
    return;
  }
  warnOnce(
    "gRPC client metrics are incomplete: this version of @grpc/grpc-js has no InternalChannel with " +
      `${METHODS.join(", ")}. Calls are recorded, attempts and message sizes are not`,
  );
  hookPublicChannel(channel, telemetry);
}

/** The key of metadata that counts attempts, other than transparent retries, on all but the first. */
const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/** Where a configuration keeps the call it was made for. */
type Linked = CallConfig & { [link: symbol]: ClientCall | undefined };

function hookInternalChannel(internalChannel: InternalChannel, telemetry: ClientTelemetry): void {
  // Of this plugin alone: several may be installed on one channel.
  const link = Symbol("call");
  /** The call whose configuration is being asked for. */
  let resolving: ClientCall | undefined;
  const { createCall, getConfig, createLoadBalancingCall } = internalChannel;

  internalChannel.createCall = function (method, ...rest) {
    const call = createCall.call(this, method, ...rest);
    try {
      hookCall(call, telemetry.startCall(method));
    } catch (error) {
      warnOfFailure(error);
    }
    return call;
  };

  function hookCall(call: ResolvingCall, recorded: ClientCall): void {
    call.addStatusWatcher((status) => {
      try {
        recorded.end(status);
      } catch (error) {
        warnOfFailure(error);
      }
    });
    const { getConfig } = call;
    call.getConfig = function () {
      const outer = resolving;
      resolving = recorded;
      try {
        getConfig.call(this);
      } finally {
        resolving = outer;
      }
    };
  }

  internalChannel.getConfig = function (method, metadata) {
    const result = getConfig.call(this, method, metadata);
    if (resolving === undefined) return result;
    try {
      return configured(result, resolving);
    } catch (error) {
      warnOfFailure(error);
      return result;
    }
  };

  /** Has grpc-js hand on the call with its configuration, to each of its attempts. */
  function configured(result: ConfigResult, call: ClientCall): ConfigResult {
    if (result.type !== "SUCCESS") {
      call.resolutionDelayed();
      return result;
    }
    call.resolved();
    const config = result.config as Linked;
    if (config[link] === undefined) {
      config[link] = call;
      return result;
    }
    // A resolver of the application's own may give the same object to several calls.
    const copy: Linked = { ...config, [link]: call };
    return { ...result, config: copy };
  }

  const attempts = telemetry.isTraced ? followPicks(internalChannel) : undefined;

  internalChannel.createLoadBalancingCall = function (config, method, ...rest) {
    const attempt = createLoadBalancingCall.call(this, config, method, ...rest);
    try {
      const call = (config as Linked)[link] ?? telemetry.startCall(method);
      new AttemptHook(attempt, call, isHedging(config), attempts);
    } catch (error) {
      warnOfFailure(error);
    }
    return attempt;
  };
}

/** Of two policies, which only one may be given of, grpc-js prefers the one of retries. */
function isHedging({ methodConfig }: CallConfig): boolean {
  return methodConfig?.hedgingPolicy !== undefined && methodConfig.retryPolicy === undefined;
}

/** Follows an attempt of grpc-js's. */
class AttemptHook implements AttemptListener {
  readonly #call: LoadBalancingCall;
  #attempt: ClientAttempt | undefined;
  #listener: AttemptListener | undefined;
  /** Grpc-js holds one message back until a subchannel is picked: it is not sent before that. */
  #pending: Uint8Array | undefined;

  constructor(
    call: LoadBalancingCall,
    recorded: ClientCall,
    hedging: boolean,
    followed: FollowedAttempts | undefined,
  ) {
    this.#call = call;
    const { start, sendMessageWithContext } = call;
    call.start = (metadata, listener) => {
      this.#listener = listener;
      let outgoing = metadata;
      try {
        const previous = recorded.attempts === 0 ? 0 : previousAttempts(metadata);
        this.#attempt = recorded.startAttempt(previous, hedging);
        if (this.#attempt !== undefined) {
          followed?.set(call, this.#attempt);
          outgoing = this.#attempt.outgoing(metadata);
        }
      } catch (error) {
        warnOfFailure(error);
      }
      start.call(call, outgoing, this);
    };
    call.sendMessageWithContext = (context, message) => {
      sendMessageWithContext.call(call, context, message);
      try {
        this.#attempt?.sending(message);
        if (call.child !== null) this.#attempt?.sent(message);
        else this.#pending = message;
      } catch (error) {
        warnOfFailure(error);
      }
    };
  }

  onReceiveMetadata(metadata: Metadata): void {
    try {
      this.#attempt?.incoming(metadata);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#listener?.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: Uint8Array): void {
    try {
      this.#attempt?.received(message);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#listener?.onReceiveMessage(message);
  }

  onReceiveStatus(status: RpcStatus): void {
    try {
      if (this.#pending !== undefined && this.#call.child !== null) {
        this.#attempt?.sent(this.#pending);
      }
      this.#attempt?.end(status);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#listener?.onReceiveStatus(status);
  }
}

function previousAttempts(metadata: Metadata): number {
  return Number(metadata.get(PREVIOUS_ATTEMPTS)[0] ?? 0);
}

/** Which attempt is recorded as which, for those whose picks are to be followed. */
interface FollowedAttempts {
  set(call: LoadBalancingCall, attempt: ClientAttempt): void;
}

/** Tells attempts when they have to wait for a pick, and when their stream is created. */
function followPicks(internalChannel: InternalChannel): FollowedAttempts {
  const attempts = new WeakMap<LoadBalancingCall, ClientAttempt>();
  const { queueCallForPick } = internalChannel;
  internalChannel.queueCallForPick = function (call) {
    queueCallForPick.call(this, call);
    shielded(() => attempts.get(call)?.pickDelayed());
  };
  return {
    set(call, attempt) {
      attempts.set(call, attempt);
      let child = call.child;
      Object.defineProperty(call, "child", {
        get: () => child,
        set: (value: object | null) => {
          child = value;
          if (value !== null) shielded(() => attempt.streamCreated());
        },
      });
    },
  };
}
