import { status as Status } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";
import type { Attributes } from "@opentelemetry/api";
import type { Instruments, RetryInstruments } from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { messageLength, wireMessage } from "../metrics/message-frames.ts";
import { PerMethod, PerStatus } from "../metrics/per-method.ts";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";
import { StreamMetrics, StreamSeries } from "../metrics/stream-metrics.ts";
import { currentCustomLabel } from "./custom-label.ts";
import { Retries } from "./retries.ts";
import type { AttemptSpan, CallSpan, ClientTracer } from "./spans.ts";

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
}

/** Records the calls of one channel: the metrics of gRFC A66 and A96, and the spans of gRFC A72. */
export class ClientTelemetry {
  readonly #tracksRetries: boolean;
  readonly #tracer: ClientTracer | undefined;
  readonly #hasCustomLabel: boolean;
  readonly #methods: PerMethod<ClientMethod>;

  constructor(
    { instruments, target, methodLabel, optionalLabels, tracer }: ClientTelemetryOptions,
  ) {
    this.#tracksRetries = instruments.clientRetries !== undefined || tracer !== undefined;
    this.#tracer = tracer;
    this.#hasCustomLabel = optionalLabels.has("grpc.client.call.custom");
    // grpc-js does not expose what its load balancers know about an address. The labels are empty,
    // as the gRFCs require for a channel without xDS.
    const loadBalancerLabels = Object.fromEntries(
      (["grpc.lb.locality", "grpc.lb.backend_service"] as const)
        .filter((label) => optionalLabels.has(label))
        .map((label) => [label, ""]),
    );
    this.#methods = new PerMethod((path, customLabel) => {
      const method = {
        "grpc.method": methodLabel(path),
        "grpc.target": target,
      };
      const attributes = this.#hasCustomLabel
        ? { ...method, "grpc.client.call.custom": customLabel }
        : method;
      return {
        attributes,
        retries: instruments.clientRetries,
        attemptStarted: createSeries(instruments.clientAttempt.started, attributes),
        attempt: new PerStatus((status) =>
          new StreamSeries(instruments.clientAttempt, {
            ...attributes,
            "grpc.status": status,
            ...loadBalancerLabels,
          })
        ),
        callDuration: new PerStatus((status) =>
          createSeries(instruments.clientCall.duration, {
            ...attributes,
            "grpc.status": status,
          })
        ),
      };
    });
  }

  /** Whether calls have spans. */
  get isTraced(): boolean {
    return this.#tracer !== undefined;
  }

  /** Called when the application starts a call, before its message is serialized. */
  startCall(path: string): ClientCall {
    const label = this.#hasCustomLabel ? currentCustomLabel() : "";
    const retries = this.#tracksRetries ? new Retries() : undefined;
    return new ClientCall(this.#methods.get(path, label), this.#tracer?.startCall(path), retries);
  }
}

/** What all calls of one method share. */
interface ClientMethod {
  /** The labels that all its metrics have. */
  readonly attributes: Attributes;
  readonly retries: RetryInstruments | undefined;
  readonly attemptStarted: Series;
  readonly attempt: PerStatus<StreamSeries>;
  readonly callDuration: PerStatus<Series>;
}

/** One call in progress, as the application sees it. */
export class ClientCall {
  readonly #method: ClientMethod;
  readonly #span: CallSpan | undefined;
  readonly #startMs = performance.now();
  readonly #retries: Retries | undefined;
  #status: RpcStatus | undefined;

  /** @param retries Undefined if neither retry metrics nor spans are on. */
  constructor(
    method: ClientMethod,
    span: CallSpan | undefined,
    retries: Retries | undefined,
  ) {
    this.#method = method;
    this.#span = span;
    this.#retries = retries;
  }

  /** Called when the call has to wait for name resolution. */
  resolutionDelayed(): void {
    this.#span?.resolutionDelayed();
  }

  /** Called when the name is resolved. */
  resolved(): void {
    this.#span?.resolved();
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
    if (isGivenUp(this.#status)) return undefined;
    const transparent = this.#retries?.startAttempt(metadata, hedging) ?? false;
    const span = this.#span?.startAttempt(this.#retries?.previous ?? 0, transparent);
    this.#method.attemptStarted.record(1, span?.context);
    const attempt = new ClientAttempt(this.#method.attempt, this.#retries, span);
    if (this.#status === undefined) return attempt;
    attempt.end(this.#status);
    return undefined;
  }

  /** Called when the call has its final status, before the application receives it. */
  end(status: RpcStatus): void {
    this.#status = status;
    const { code, details } = status;
    const seconds = (performance.now() - this.#startMs) / 1000;
    const context = this.#span?.context;
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
export class ClientAttempt extends StreamMetrics {
  readonly #retries: Retries | undefined;
  readonly #span: AttemptSpan | undefined;

  constructor(
    series: PerStatus<StreamSeries>,
    retries: Retries | undefined,
    span: AttemptSpan | undefined,
  ) {
    super(series, span?.context);
    this.#retries = retries;
    this.#span = span;
  }

  /** Returns the metadata to send: a copy with the span's context, or `metadata` without a span. */
  outgoing(metadata: Metadata): Metadata {
    return this.#span?.outgoing(metadata) ?? metadata;
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
    this.#span?.sent(wireMessage(frame));
  }

  /** Called when a message is handed to the transport. `frame` includes the message's prefix. */
  sent(frame: Uint8Array): void {
    this.countSent(messageLength(frame));
  }

  /** Called when a message arrives. `frame` includes the message's prefix. */
  received(frame: Uint8Array): void {
    this.countReceived(messageLength(frame));
    this.#span?.received(wireMessage(frame));
  }

  /** Called when the attempt has its status. */
  end({ code, details }: RpcStatus): void {
    this.recordEnd(code, performance.now());
    this.#retries?.endAttempt();
    this.#span?.end(code, details);
  }
}
