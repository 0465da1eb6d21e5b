/**
 * The boundary to grpc-js's channels. Only this file knows their private shape.
 *
 * grpc-js has no stats hook, and client interceptors see calls but not attempts. The channel's
 * internal channel sees both: it creates one object per call and one per attempt. This file replaces
 * methods on that one instance and touches no prototype, so other channels stay as they are.
 *
 * @module
 */
import type { ChannelInterface, ChannelOptions, Metadata } from "@grpc/grpc-js";
import { onAssigned } from "../on-assigned.ts";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOfFailure, warnOnce } from "../warning.ts";
import type { ClientAttempt, ClientCall, ClientTelemetry, RpcStatus } from "./call.ts";
import { inContext } from "./call-listener.ts";
import type { CallListener } from "./call-listener.ts";
import { hookPublicChannel } from "./fallback.ts";
import { hookPicks } from "./pick-hooks.ts";
import type { WatchPicks } from "./pick-hooks.ts";

/** grpc-js's `LoadBalancingCall`: one attempt. */
interface LoadBalancingCall {
  /** The call on a connection; null until a subchannel is picked. */
  child: object | null;
  start(metadata: Metadata, listener: CallListener): void;
  sendMessageWithContext(context: unknown, message: Uint8Array): void;
  /** Asks the load balancer for a subchannel. Runs again when a queued call gets a new picker. */
  doPick(): void;
}

/** What grpc-js keeps of a message that the application sends. */
interface MessageContext {
  /** Called when the message is sent. */
  readonly callback?: (error?: Error | null) => void;
}

/** grpc-js's `ResolvingCall`: one call. */
interface ResolvingCall {
  start(metadata: Metadata, listener: CallListener): void;
  sendMessageWithContext(context: MessageContext, message: Uint8Array): void;
  addStatusWatcher(watcher: (status: RpcStatus) => void): void;
  /** Asks the channel for the call's configuration. Runs again once the name is resolved. */
  getConfig(): void;
}

/** The part of the service config that applies to a method. Created for each call. */
interface CallConfig {
  readonly methodConfig?: {
    readonly retryPolicy?: object;
    readonly hedgingPolicy?: object;
  };
}

type ConfigResult =
  | { readonly type: "SUCCESS"; readonly config: CallConfig }
  | { readonly type: "NONE" | "ERROR" };

/** The parts of grpc-js's `InternalChannel` that this file uses. */
interface InternalChannel {
  createCall(method: string, ...rest: unknown[]): ResolvingCall;
  getConfig(method: string, metadata: Metadata): ConfigResult;
  createLoadBalancingCall(
    config: CallConfig,
    ...rest: unknown[]
  ): LoadBalancingCall;
  queueCallForPick(call: LoadBalancingCall): void;
  /** Makes a call wait until the name is resolved. Runs again when a resolution fails meanwhile. */
  queueCallForConfig?(call: ResolvingCall): void;
  /** The failure of the latest name resolution, while no resolution has succeeded. */
  readonly currentResolutionError?: RpcStatus | null;
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
 * Returns the object that identifies a channel: the one whose methods are replaced. Stand-ins for a
 * channel have the same one.
 */
export function channelKey(channel: object): object {
  const { internalChannel } = channel as { internalChannel?: unknown };
  return isInternalChannel(internalChannel) ? internalChannel : channel;
}

/**
 * Returns the target that the application dialled. The target of a channel that uses an HTTP proxy is
 * the proxy; its options have the dialled one.
 */
export function dialledTarget(channel: ChannelInterface): string {
  const { internalChannel } = channel as { internalChannel?: { options?: ChannelOptions } };
  return internalChannel?.options?.["grpc.http_connect_target"] ?? channel.getTarget();
}

/**
 * Records every call and attempt of a channel. If this version of grpc-js has a different internal
 * channel, warns once and records calls without attempts.
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

/**
 * An object of grpc-js that carries the object that records it. Each plugin uses its own symbol,
 * because several plugins may record the same object.
 */
type Linked<T, R> = T & { [link: symbol]: R | undefined };

/**
 * Replaces methods of a channel's internal channel, its calls and its attempts. All calls and
 * attempts share the same functions: a few closures for each would double the cost of recording.
 */
function hookInternalChannel(internalChannel: InternalChannel, telemetry: ClientTelemetry): void {
  const link = Symbol("recorded");
  /** The call that is asking for its configuration. */
  let resolving: ClientCall | undefined;

  replaceMethod(
    internalChannel,
    "createCall",
    (createCall) =>
      function (this: InternalChannel, method, ...rest) {
        const call = createCall.call(this, method, ...rest) as Linked<ResolvingCall, CallHook>;
        try {
          const recorded = telemetry.createCall(method);
          call[link] = new CallHook(recorded, call);
          call.start = startCall;
          call.getConfig = getConfigOfCall;
          if (recorded.caller !== undefined) call.sendMessageWithContext = sendMessageOfCall;
          call.addStatusWatcher((status) => endCall(recorded, status));
        } catch (error) {
          warnOfFailure(error);
        }
        return call;
      },
  );

  function startCall(this: ResolvingCall, metadata: Metadata, listener: CallListener): void {
    const { recorded, start } = (this as Linked<ResolvingCall, CallHook>)[link]!;
    shielded(() => recorded.start());
    const { caller } = recorded;
    start.call(this, metadata, caller === undefined ? listener : inContext(caller, listener));
  }

  function getConfigOfCall(this: ResolvingCall): void {
    const { recorded, getConfig } = (this as Linked<ResolvingCall, CallHook>)[link]!;
    const outer = resolving;
    resolving = recorded;
    try {
      getConfig.call(this);
    } finally {
      resolving = outer;
    }
  }

  function sendMessageOfCall(
    this: ResolvingCall,
    context: MessageContext,
    message: Uint8Array,
  ): void {
    const { recorded, sendMessageWithContext } = (this as Linked<ResolvingCall, CallHook>)[link]!;
    const { callback } = context;
    // The callback of a message that waits for flow control runs in the context of the connection.
    const inCaller = callback === undefined ? context : {
      ...context,
      callback: (error?: Error | null) => recorded.caller!.run(callback, undefined, [error]),
    };
    sendMessageWithContext.call(this, inCaller, message);
  }

  replaceMethod(
    internalChannel,
    "getConfig",
    (getConfig) =>
      function (this: InternalChannel, method, metadata) {
        const result = getConfig.call(this, method, metadata);
        if (resolving === undefined) return result;
        try {
          return linkConfig(result, resolving);
        } catch (error) {
          warnOfFailure(error);
          return result;
        }
      },
  );

  if (telemetry.recordsCallDelays) {
    if (typeof internalChannel.queueCallForConfig === "function") {
      replaceMethod(
        internalChannel,
        "queueCallForConfig",
        (queueCallForConfig) =>
          function (this: InternalChannel, call) {
            queueCallForConfig!.call(this, call);
            const { details } = this.currentResolutionError ?? {};
            shielded(() =>
              (call as Linked<ResolvingCall, CallHook>)[link]?.recorded.queuedForResolution(details)
            );
          },
      );
    } else {
      warnOnce(
        "gRPC delays of calls are not recorded: this version of @grpc/grpc-js has no " +
          "InternalChannel with queueCallForConfig",
      );
    }
  }

  /** Links the call to its configuration, which grpc-js passes to each of the call's attempts. */
  function linkConfig(result: ConfigResult, call: ClientCall): ConfigResult {
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
    // A resolver of the application may return the same object for several calls.
    const copy = { ...config, [link]: call } as CallConfig;
    return { ...result, config: copy };
  }

  const watchPicks = telemetry.recordsPicks ? hookPicks(internalChannel) : undefined;

  replaceMethod(
    internalChannel,
    "createLoadBalancingCall",
    (createLoadBalancingCall) =>
      function (this: InternalChannel, config, ...rest) {
        const attempt = createLoadBalancingCall.call(this, config, ...rest) as Linked<
          LoadBalancingCall,
          AttemptHook
        >;
        try {
          const call = (config as Linked<CallConfig, ClientCall>)[link];
          // A call that began before the channel was hooked is not recorded, nor are its retries.
          if (call === undefined) return attempt;
          attempt[link] = new AttemptHook(attempt, call, isHedging(config), watchPicks);
          attempt.start = start;
          attempt.sendMessageWithContext = sendMessageWithContext;
        } catch (error) {
          warnOfFailure(error);
        }
        return attempt;
      },
  );

  if (telemetry.keepsCaller) {
    replaceMethod(
      internalChannel,
      "queueCallForPick",
      (queueCallForPick) =>
        function (this: InternalChannel, call) {
          queueCallForPick.call(this, call);
          shielded(() => (call as Linked<LoadBalancingCall, AttemptHook>)[link]?.queued());
        },
    );
  }

  function start(this: LoadBalancingCall, metadata: Metadata, listener: CallListener): void {
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

/** A method may have one of the two policies. If it has both, grpc-js uses the retry policy. */
function isHedging({ methodConfig }: CallConfig): boolean {
  return methodConfig?.hedgingPolicy !== undefined && methodConfig.retryPolicy === undefined;
}

/** What records a call, and the call's own methods. */
class CallHook {
  readonly recorded: ClientCall;
  readonly start: ResolvingCall["start"];
  readonly getConfig: ResolvingCall["getConfig"];
  readonly sendMessageWithContext: ResolvingCall["sendMessageWithContext"];

  constructor(recorded: ClientCall, call: ResolvingCall) {
    this.recorded = recorded;
    this.start = call.start;
    this.getConfig = call.getConfig;
    this.sendMessageWithContext = call.sendMessageWithContext;
  }
}

/** Records an attempt: takes the place of its methods and of its listener. */
class AttemptHook implements CallListener {
  readonly #call: LoadBalancingCall;
  readonly #start: LoadBalancingCall["start"];
  readonly #sendMessageWithContext: LoadBalancingCall["sendMessageWithContext"];
  readonly #hedging: boolean;
  readonly #watchPicks: WatchPicks | undefined;
  #recorded: ClientCall | undefined;
  #attempt: ClientAttempt | undefined;
  #listener: CallListener | undefined;
  /** Whether the attempt has had to wait for a pick. */
  #awaitsStream = false;
  /** The message that grpc-js holds back until a subchannel is picked. It counts as sent then. */
  #pending: Uint8Array | undefined;

  constructor(
    call: LoadBalancingCall,
    recorded: ClientCall,
    hedging: boolean,
    watchPicks: WatchPicks | undefined,
  ) {
    this.#call = call;
    this.#start = call.start;
    this.#sendMessageWithContext = call.sendMessageWithContext;
    this.#recorded = recorded;
    this.#hedging = hedging;
    this.#watchPicks = watchPicks;
  }

  start(metadata: Metadata, listener: CallListener): void {
    this.#listener = listener;
    const caller = this.#recorded?.caller;
    let outgoing = metadata;
    try {
      this.#attempt = this.#recorded?.startAttempt(metadata, this.#hedging);
      if (this.#attempt !== undefined) this.#watchPicks?.(this.#call, this.#attempt);
      const sender = this.#attempt ?? this.#recorded;
      if (sender !== undefined) outgoing = sender.outgoing(metadata);
    } catch (error) {
      warnOfFailure(error);
    }
    // A transparent retry may start in the context of a connection, and asks call credentials again.
    if (caller === undefined) this.#start.call(this.#call, outgoing, this);
    else caller.run(this.#start, this.#call, [outgoing, this]);
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

  /** Called when the attempt has to wait for a pick. grpc-js sets `child` when it has a stream. */
  queued(): void {
    const caller = this.#recorded?.caller;
    if (caller !== undefined) {
      const { doPick } = this.#call;
      this.#call.doPick = () => {
        this.#call.doPick = doPick;
        caller.run(doPick, this.#call, []);
      };
    }
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    attempt.pickDelayed();
    if (this.#awaitsStream) return;
    this.#awaitsStream = true;
    onAssigned(this.#call, "child", (child) => {
      if (child !== null) this.#attempt?.streamCreated();
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
    // The HTTP/2 stream, which references the attempt, stays in memory until a full garbage
    // collection. Release the call and its messages now.
    this.#recorded = undefined;
    this.#attempt = undefined;
    this.#listener = undefined;
    this.#pending = undefined;
    listener?.onReceiveStatus(status);
  }
}
