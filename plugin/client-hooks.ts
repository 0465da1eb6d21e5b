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
import { shielded, warnOnce } from "./warning.ts";

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
  getConfig(...args: unknown[]): ConfigResult;
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

function hookInternalChannel(
  internalChannel: InternalChannel,
  telemetry: ClientTelemetry,
): void {
  /** The call of each configuration: grpc-js hands it on from the call to each of its attempts. */
  const calls = new WeakMap<CallConfig, ClientCall>();
  /** The call whose configuration is being asked for. */
  let resolving: ClientCall | undefined;
  const { createCall, getConfig, createLoadBalancingCall } = internalChannel;

  internalChannel.createCall = function (method, ...rest) {
    const call = createCall.call(this, method, ...rest);
    shielded(() => hookCall(call, telemetry.startCall(method)));
    return call;
  };

  function hookCall(call: ResolvingCall, recorded: ClientCall): void {
    call.addStatusWatcher((status) => shielded(() => recorded.end(status)));
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

  internalChannel.getConfig = function (...args) {
    const result = getConfig.apply(this, args);
    return shielded(() => configured(result)) ?? result;
  };

  function configured(result: ConfigResult): ConfigResult {
    if (resolving === undefined) return result;
    if (result.type !== "SUCCESS") {
      resolving.resolutionDelayed();
      return result;
    }
    resolving.resolved();
    // A resolver of the application's own may give the same object to several calls.
    const config = calls.has(result.config) ? { ...result.config } : result.config;
    calls.set(config, resolving);
    return config === result.config ? result : { ...result, config };
  }

  const attempts = telemetry.isTraced ? followPicks(internalChannel) : undefined;

  internalChannel.createLoadBalancingCall = function (config, method, ...rest) {
    const attempt = createLoadBalancingCall.call(this, config, method, ...rest);
    shielded(() => {
      const call = calls.get(config) ?? telemetry.startCall(method);
      hookAttempt(attempt, (metadata) => {
        const recorded = call.startAttempt(
          call.attempts === 0 ? 0 : Number(metadata.get(PREVIOUS_ATTEMPTS)[0] ?? 0),
          isHedging(config),
        );
        if (recorded !== undefined) attempts?.set(attempt, recorded);
        return recorded;
      });
    });
    return attempt;
  };
}

/** Of two policies, which only one may be given of, grpc-js prefers the one of retries. */
function isHedging({ methodConfig }: CallConfig): boolean {
  return methodConfig?.hedgingPolicy !== undefined &&
    methodConfig.retryPolicy === undefined;
}

function hookAttempt(
  call: LoadBalancingCall,
  startAttempt: (metadata: Metadata) => ClientAttempt | undefined,
): void {
  const { start, sendMessageWithContext } = call;
  let attempt: ClientAttempt | undefined;
  /** Grpc-js holds one message back until a subchannel is picked: it is not sent before that. */
  let pending: Uint8Array | undefined;

  call.start = function (metadata, listener) {
    attempt = shielded(() => startAttempt(metadata));
    const outgoing = shielded(() => attempt?.outgoing(metadata)) ?? metadata;
    start.call(this, outgoing, {
      onReceiveMetadata: (received) => {
        shielded(() => attempt?.incoming(received));
        listener.onReceiveMetadata(received);
      },
      onReceiveMessage: (message) => {
        shielded(() => attempt?.received(message));
        listener.onReceiveMessage(message);
      },
      onReceiveStatus: (status) => {
        shielded(() => {
          if (call.child !== null && pending !== undefined) {
            attempt?.sent(pending);
          }
          attempt?.end(status);
        });
        listener.onReceiveStatus(status);
      },
    });
  };

  call.sendMessageWithContext = function (context, message) {
    sendMessageWithContext.call(this, context, message);
    shielded(() => {
      attempt?.sending(message);
      if (this.child !== null) attempt?.sent(message);
      else pending = message;
    });
  };
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
