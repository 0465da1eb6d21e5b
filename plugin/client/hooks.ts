/**
 * The client's boundary to grpc-js: the only file that knows the private shape of its channels.
 *
 * grpc-js has no stats hook, and client interceptors see calls, never attempts. What sees both is
 * the channel's internal channel: it makes one object per call and one per attempt. Its methods are
 * replaced on the one instance; no prototype is touched, so other channels are not affected.
 */
import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import type { ClientAttempt, ClientCall, ClientTelemetry, RpcStatus } from "./call.ts";
import { hookPublicChannel } from "./fallback.ts";
import { shielded, warnOfFailure, warnOnce } from "../warning.ts";

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

/** Keeps what is recorded with what it is recorded of. Each plugin has a link of its own. */
type Linked<T, R> = T & { [link: symbol]: R | undefined };

/**
 * Replaces methods of a channel's internal channel, of its calls and of its attempts. Calls and
 * attempts get functions that all of them share: with a few closures for each, recording would cost
 * twice as much.
 */
function hookInternalChannel(internalChannel: InternalChannel, telemetry: ClientTelemetry): void {
  const link = Symbol("recorded");
  /** The call whose configuration is being asked for. */
  let resolving: ClientCall | undefined;
  const { createCall, getConfig, createLoadBalancingCall } = internalChannel;

  internalChannel.createCall = function (method, ...rest) {
    const call = createCall.call(this, method, ...rest) as Linked<ResolvingCall, CallHook>;
    try {
      const recorded = telemetry.startCall(method);
      call.addStatusWatcher((status) => endCall(recorded, status));
      call[link] = new CallHook(recorded, call.getConfig);
      call.getConfig = getConfigOfCall;
    } catch (error) {
      warnOfFailure(error);
    }
    return call;
  };

  function getConfigOfCall(this: ResolvingCall): void {
    const hook = (this as Linked<ResolvingCall, CallHook>)[link]!;
    const outer = resolving;
    resolving = hook.recorded;
    try {
      hook.getConfig.call(this);
    } finally {
      resolving = outer;
    }
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
    const config = result.config as Linked<CallConfig, ClientCall>;
    if (config[link] === undefined) {
      config[link] = call;
      return result;
    }
    // A resolver of the application's own may give the same object to several calls.
    const copy = { ...config, [link]: call } as CallConfig;
    return { ...result, config: copy };
  }

  internalChannel.createLoadBalancingCall = function (config, method, ...rest) {
    const attempt = createLoadBalancingCall.call(this, config, method, ...rest) as Linked<
      LoadBalancingCall,
      AttemptHook
    >;
    try {
      const call = (config as Linked<CallConfig, ClientCall>)[link] ?? telemetry.startCall(method);
      attempt[link] = new AttemptHook(attempt, call, isHedging(config));
      attempt.start = start;
      attempt.sendMessageWithContext = sendMessageWithContext;
    } catch (error) {
      warnOfFailure(error);
    }
    return attempt;
  };

  if (telemetry.isTraced) {
    const { queueCallForPick } = internalChannel;
    internalChannel.queueCallForPick = function (call) {
      queueCallForPick.call(this, call);
      shielded(() => (call as Linked<LoadBalancingCall, AttemptHook>)[link]?.queued());
    };
  }

  function start(this: LoadBalancingCall, metadata: Metadata, listener: AttemptListener): void {
    (this as Linked<LoadBalancingCall, AttemptHook>)[link]!.start(metadata, listener);
  }

  function sendMessageWithContext(
    this: LoadBalancingCall,
    context: unknown,
    message: Uint8Array,
  ): void {
    (this as Linked<LoadBalancingCall, AttemptHook>)[link]!.send(context, message);
  }
}

function endCall(recorded: ClientCall, status: RpcStatus): void {
  try {
    recorded.end(status);
  } catch (error) {
    warnOfFailure(error);
  }
}

/** Of two policies, which only one may be given of, grpc-js prefers the one of retries. */
function isHedging({ methodConfig }: CallConfig): boolean {
  return methodConfig?.hedgingPolicy !== undefined && methodConfig.retryPolicy === undefined;
}

/** A call of grpc-js's. */
class CallHook {
  readonly recorded: ClientCall;
  readonly getConfig: () => void;

  constructor(recorded: ClientCall, getConfig: () => void) {
    this.recorded = recorded;
    this.getConfig = getConfig;
  }
}

/** Follows an attempt of grpc-js's. */
class AttemptHook implements AttemptListener {
  readonly #call: LoadBalancingCall;
  readonly #start: LoadBalancingCall["start"];
  readonly #sendMessageWithContext: LoadBalancingCall["sendMessageWithContext"];
  readonly #hedging: boolean;
  #recorded: ClientCall | undefined;
  #attempt: ClientAttempt | undefined;
  #listener: AttemptListener | undefined;
  /** Grpc-js holds one message back until a subchannel is picked: it is not sent before that. */
  #pending: Uint8Array | undefined;

  constructor(call: LoadBalancingCall, recorded: ClientCall, hedging: boolean) {
    this.#call = call;
    this.#start = call.start;
    this.#sendMessageWithContext = call.sendMessageWithContext;
    this.#recorded = recorded;
    this.#hedging = hedging;
  }

  start(metadata: Metadata, listener: AttemptListener): void {
    this.#listener = listener;
    let outgoing = metadata;
    try {
      this.#attempt = this.#recorded?.startAttempt(metadata, this.#hedging);
      if (this.#attempt !== undefined) outgoing = this.#attempt.outgoing(metadata);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#start.call(this.#call, outgoing, this);
  }

  send(context: unknown, message: Uint8Array): void {
    this.#sendMessageWithContext.call(this.#call, context, message);
    try {
      this.#attempt?.sending(message);
      if (this.#call.child !== null) this.#attempt?.sent(message);
      else this.#pending = message;
    } catch (error) {
      warnOfFailure(error);
    }
  }

  /** Has to wait for a pick. When its stream is created, it gets a child. */
  queued(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    attempt.pickDelayed();
    let { child } = this.#call;
    Object.defineProperty(this.#call, "child", {
      configurable: true,
      get: () => child,
      set: (value: object | null) => {
        child = value;
        if (value !== null) shielded(() => attempt.streamCreated());
      },
    });
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
    const listener = this.#listener;
    // An attempt can be reached from its HTTP/2 stream, which is kept until a full garbage
    // collection. The call and its messages need not be kept as long.
    this.#recorded = undefined;
    this.#attempt = undefined;
    this.#listener = undefined;
    this.#pending = undefined;
    listener?.onReceiveStatus(status);
  }
}
