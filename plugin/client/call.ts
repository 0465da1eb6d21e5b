import { status as Status } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";
import type { Attributes, Context } from "@opentelemetry/api";
import type { MethodFilter } from "../method-filter.ts";
import type { Instruments, RetryInstruments } from "../metrics/instruments.ts";
import { LOAD_BALANCER_LABELS, OTHER } from "../metrics/labels.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { messageLength } from "../metrics/message-frames.ts";
import { PerMethod, PerStatus } from "../metrics/per-method.ts";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";
import { StreamMetrics, StreamSeries } from "../metrics/stream-metrics.ts";
import { CallContext } from "../tracing/call-context.ts";
import type { Propagation } from "../tracing/propagation.ts";
import { currentCustomLabel } from "./custom-label.ts";
import { Delays, DelaySeries } from "./delays.ts";
import type { PickRecorder } from "./pick-hooks.ts";
import { PerRoute } from "./per-route.ts";
import { Retries } from "./retries.ts";
import { spanNames } from "./spans.ts";
import type { AttemptSpan, CallSpan, ClientTracer, SpanNames } from "./spans.ts";

/** The final status of a call or an attempt. */
export interface RpcStatus {
  readonly code: number;
  readonly details: string;
}

export interface ClientTelemetryOptions {
  readonly instruments: Instruments;
  /** The channel's `grpc.target` label. */
  readonly target: string;
  /** Returns the `grpc.method` label of a path such as `/package.Service/Method`. */
  readonly methodLabel: (path: string) => string;
  readonly optionalLabels: ReadonlySet<OptionalLabel>;
  /** Turns spans off if undefined. */
  readonly tracer: ClientTracer | undefined;
  /** Sends span contexts and baggage to servers. */
  readonly propagation: Propagation | undefined;
  /** Returns whether a call of a path, made by the code that is running, is recorded. */
  readonly includes: (path: string) => boolean;
  /** The application's filter. A call that it refuses still passes its caller's context on. */
  readonly methodFilter?: MethodFilter | undefined;
}

/**
 * Records the calls of one channel: the metrics of gRFC A66, A96 and A121, and the spans of gRFC A72
 * and A121.
 */
export class ClientTelemetry {
  readonly #tracksRetries: boolean;
  /** Whether name resolutions that calls wait for are recorded. */
  readonly recordsCallDelays: boolean;
  /** Whether picks that attempts wait for are recorded. */
  readonly recordsAttemptDelays: boolean;
  /** Whether something of the picks of attempts is recorded. */
  readonly recordsPicks: boolean;
  /** The reason of the delay of calls that wait for name resolution. */
  readonly resolving: string;
  readonly tracer: ClientTracer | undefined;
  readonly propagation: Propagation | undefined;
  readonly #hasCustomLabel: boolean;
  /** Whether calls keep the context of their callers, to record or send something of it. */
  readonly keepsCaller: boolean;
  readonly #methods: PerMethod<ClientMethod>;
  readonly #includes: (path: string) => boolean;
  /** What the application's filter says of each method. Undefined if all are recorded. */
  readonly #isRecorded: PerMethod<boolean> | undefined;

  constructor(
    {
      instruments,
      target,
      methodLabel,
      optionalLabels,
      tracer,
      propagation,
      includes,
      methodFilter,
    }: ClientTelemetryOptions,
  ) {
    this.#includes = includes;
    this.#isRecorded = methodFilter && new PerMethod(methodFilter);
    this.#tracksRetries = instruments.clientRetries !== undefined || tracer !== undefined;
    const { clientCallDelay, clientAttemptDelay } = instruments;
    this.recordsCallDelays = clientCallDelay !== undefined || (tracer?.delays.calls ?? false);
    this.recordsAttemptDelays = clientAttemptDelay !== undefined ||
      (tracer?.delays.attempts ?? false);
    this.resolving = `waiting for name resolution${target === OTHER ? "" : ` of ${target}`}`;
    this.tracer = tracer;
    this.propagation = propagation;
    this.#hasCustomLabel = optionalLabels.has("grpc.client.call.custom");
    this.keepsCaller = tracer !== undefined || propagation !== undefined ||
      this.#hasCustomLabel || instruments.readContext;
    const loadBalancerLabels = LOAD_BALANCER_LABELS.filter((label) => optionalLabels.has(label));
    this.recordsPicks = this.recordsAttemptDelays || loadBalancerLabels.length > 0;
    this.#methods = new PerMethod((path, customLabel) => {
      const method = {
        "grpc.method": methodLabel(path),
        "grpc.target": target,
      };
      const attributes = this.#hasCustomLabel
        ? { ...method, "grpc.client.call.custom": customLabel }
        : method;
      const { "grpc.method": _, ...withoutMethod } = attributes;
      const delayAttributes = optionalLabels.has("grpc.method") ? attributes : withoutMethod;
      const attemptSeries = (backendService: string, locality: string) => {
        const values = {
          "grpc.lb.locality": locality,
          "grpc.lb.backend_service": backendService,
        };
        const labels = loadBalancerLabels.map((label) => [label, values[label]]);
        return new PerStatus((status) =>
          new StreamSeries(instruments.clientAttempt, {
            ...attributes,
            "grpc.status": status,
            ...Object.fromEntries(labels),
          })
        );
      };
      return {
        attributes,
        spanNames: tracer && spanNames(path),
        callDelay: clientCallDelay && new DelaySeries(clientCallDelay.duration, delayAttributes),
        attemptDelay: clientAttemptDelay &&
          new DelaySeries(clientAttemptDelay.duration, delayAttributes),
        retries: instruments.clientRetries,
        attemptStarted: createSeries(instruments.clientAttempt.started, attributes),
        attempt: attemptSeries("", ""),
        routedAttempt: loadBalancerLabels.length > 0 ? new PerRoute(attemptSeries) : undefined,
        callDuration: new PerStatus((status) =>
          createSeries(instruments.clientCall.duration, {
            ...attributes,
            "grpc.status": status,
          })
        ),
      };
    });
  }

  /** Called when the application creates a call, in the context of the caller. */
  createCall(path: string): ClientCall {
    if (!this.#includes(path)) return new ClientCall(this, undefined, undefined, undefined);
    if (this.#isRecorded?.get(path) === false) {
      return new ClientCall(this, undefined, this.#caller(), undefined);
    }
    const label = this.#hasCustomLabel ? currentCustomLabel() : "";
    return new ClientCall(
      this,
      this.#methods.get(path, label),
      this.#caller(),
      this.#tracksRetries ? new Retries() : undefined,
    );
  }

  #caller(): CallContext | undefined {
    return this.keepsCaller ? CallContext.current() : undefined;
  }
}

/** What all calls of one method share. */
interface ClientMethod {
  /** The labels that all its metrics have. */
  readonly attributes: Attributes;
  /** Undefined if spans are off. */
  readonly spanNames: SpanNames | undefined;
  readonly retries: RetryInstruments | undefined;
  readonly callDelay: DelaySeries | undefined;
  readonly attemptDelay: DelaySeries | undefined;
  readonly attemptStarted: Series;
  readonly attempt: PerStatus<StreamSeries>;
  /** The series of attempts with xDS. Undefined if their labels are off. */
  readonly routedAttempt: PerRoute<PerStatus<StreamSeries>> | undefined;
  readonly callDuration: PerStatus<Series>;
}

/** One call in progress, as the application sees it. */
export class ClientCall {
  readonly #telemetry: ClientTelemetry;
  readonly #method: ClientMethod | undefined;
  /** The context of the application's code that made the call. Undefined if nothing reads it. */
  readonly caller: CallContext | undefined;
  readonly #retries: Retries | undefined;
  #startMs: number | undefined;
  #span: CallSpan | undefined;
  #delays: Delays | undefined;
  #status: RpcStatus | undefined;

  /**
   * @param method Undefined if the call is not recorded.
   * @param retries Undefined if neither retry metrics nor spans are on.
   */
  constructor(
    telemetry: ClientTelemetry,
    method: ClientMethod | undefined,
    caller: CallContext | undefined,
    retries: Retries | undefined,
  ) {
    this.#telemetry = telemetry;
    this.#method = method;
    this.caller = caller;
    this.#retries = retries;
  }

  /**
   * Called when the application starts the call, before its message is serialized. A call that an
   * interceptor answers by itself is created, but never starts.
   */
  start(): void {
    this.#startMs = performance.now();
    const names = this.#method?.spanNames;
    if (names !== undefined && this.caller !== undefined) {
      this.#span = this.#telemetry.tracer?.startCall(names, this.caller.context);
    }
    if (this.#status !== undefined) this.#recordEnd(this.#status, this.#startMs);
  }

  get #context(): Context | undefined {
    return this.#span?.context ?? this.caller?.context;
  }

  /** Called when the call has to wait for name resolution. */
  resolutionDelayed(): void {
    this.#span?.resolutionDelayed();
  }

  /**
   * Called when the call is queued until the name is resolved, if such delays are recorded. Called
   * again when a resolution fails and the call still waits.
   *
   * @param failure Why the name could not be resolved, undefined if no resolution failed.
   */
  queuedForResolution(failure: string | undefined): void {
    if (this.#method === undefined) return;
    this.#delays ??= new Delays(this.#method.callDelay, this.#context, this.#span);
    this.#delays.begin("resolving", failure ?? this.#telemetry.resolving);
  }

  /** Called when the name is resolved. */
  resolved(): void {
    this.#span?.resolved();
    this.#delays?.end();
  }

  /**
   * Called when an attempt starts: the first one, a retry, a hedge or a transparent retry. The name
   * is resolved, and no subchannel is picked yet.
   *
   * If a call ends in the same turn of the event loop in which it starts, grpc-js still opens a
   * stream for it, and may never end that stream. Such a call is recorded as in grpc-go: without an
   * attempt if it was cancelled or its deadline passed, and otherwise (its message cannot be
   * serialized) with one attempt that ends with the call's status.
   *
   * @param metadata The metadata of the attempt.
   * @param hedging Whether the method has a hedging policy.
   * @returns Undefined if the attempt needs no further recording.
   */
  startAttempt(metadata: Metadata, hedging: boolean): ClientAttempt | undefined {
    if (this.#method === undefined || isGivenUp(this.#status)) return undefined;
    const transparent = this.#retries?.startAttempt(metadata, hedging) ?? false;
    const span = this.#span?.startAttempt(this.#retries?.previous ?? 0, transparent);
    const context = span?.context ?? this.#context;
    this.#method.attemptStarted.record(1, context);
    const attempt = new ClientAttempt(
      this.#method.attempt,
      this.#method.routedAttempt,
      context,
      this.#telemetry.propagation,
      this.#retries,
      span,
      this.#telemetry.recordsAttemptDelays
        ? new Delays(this.#method.attemptDelay, context, span)
        : undefined,
    );
    if (this.#status === undefined) return attempt;
    attempt.end(this.#status);
    return undefined;
  }

  /**
   * Returns the metadata of an attempt that is not recorded. If the application's filter refused the
   * call, it is a copy to which the propagator has added the context of the caller.
   */
  outgoing(metadata: Metadata): Metadata {
    if (this.#method !== undefined || this.caller === undefined) return metadata;
    return this.#telemetry.propagation?.inject(this.caller.context, metadata) ?? metadata;
  }

  /** Called when the call has its final status, before the application receives it. */
  end(status: RpcStatus): void {
    this.#status = status;
    if (this.#startMs !== undefined) this.#recordEnd(status, this.#startMs);
  }

  #recordEnd({ code, details }: RpcStatus, startMs: number): void {
    if (this.#method === undefined) return;
    const seconds = (performance.now() - startMs) / 1000;
    const context = this.#context;
    this.#delays?.close();
    this.#method.callDuration.get(code).record(seconds, context);
    const { retries, attributes } = this.#method;
    if (retries !== undefined) this.#retries?.record(retries, attributes, context);
    this.#span?.end(code, details);
  }
}

function isGivenUp(status: RpcStatus | undefined): boolean {
  return status?.code === Status.CANCELLED ||
    status?.code === Status.DEADLINE_EXCEEDED;
}

/** One attempt in progress. */
export class ClientAttempt extends StreamMetrics implements PickRecorder {
  readonly #routes: PerRoute<PerStatus<StreamSeries>> | undefined;
  #backendService = "";
  #locality = "";
  readonly #propagation: Propagation | undefined;
  readonly #retries: Retries | undefined;
  readonly #span: AttemptSpan | undefined;
  /** Records what the attempt waits for. Undefined if that is not recorded. */
  readonly delays: Delays | undefined;

  constructor(
    series: PerStatus<StreamSeries>,
    routes: PerRoute<PerStatus<StreamSeries>> | undefined,
    context: Context | undefined,
    propagation: Propagation | undefined,
    retries: Retries | undefined,
    span: AttemptSpan | undefined,
    delays: Delays | undefined,
  ) {
    super(series, context);
    this.#routes = routes;
    this.#propagation = propagation;
    this.#retries = retries;
    this.#span = span;
    this.delays = delays;
  }

  /** Returns the metadata to send: a copy to which the propagator has added the context. */
  outgoing(metadata: Metadata): Metadata {
    this.#span?.outgoing(metadata);
    if (this.context === undefined) return metadata;
    return this.#propagation?.inject(this.context, metadata) ?? metadata;
  }

  /** Called after each pick with xDS. The latest one counts (gRFC A89). */
  routed(backendService: string, locality = this.#locality): void {
    if (this.#routes === undefined) return;
    if (backendService === this.#backendService && locality === this.#locality) return;
    this.#backendService = backendService;
    this.#locality = locality;
    this.series = this.#routes.get(backendService, locality);
  }

  /** Called when the attempt has to wait for the load balancer to pick a subchannel. */
  pickDelayed(): void {
    this.#span?.pickDelayed();
  }

  /** Called when the attempt has a stream on the picked subchannel. */
  streamCreated(): void {
    this.#span?.streamCreated();
  }

  /** Called when the server's metadata arrives. */
  incoming(metadata: Metadata): void {
    this.#span?.incoming(metadata);
  }

  /** Called when the application sends a message. `frame` includes the message's prefix. */
  sending(frame: Uint8Array): void {
    this.#span?.sent(frame);
  }

  /** Called when a message is handed to the transport. `frame` includes the message's prefix. */
  sent(frame: Uint8Array): void {
    this.countSent(messageLength(frame));
  }

  /** Called when a message arrives. `frame` includes the message's prefix. */
  received(frame: Uint8Array): void {
    this.countReceived(messageLength(frame));
    this.#span?.received(frame);
  }

  /** Called when the attempt has its status. */
  end({ code, details }: RpcStatus): void {
    this.delays?.close();
    this.recordEnd(code, performance.now());
    this.#retries?.endAttempt();
    this.#span?.end(code, details);
  }
}
