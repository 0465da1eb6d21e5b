import { status as Status } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";
import type { Attributes } from "@opentelemetry/api";
import type { AttemptSpan, CallSpan, ClientTracer } from "./spans.ts";
import { currentCustomLabel } from "./custom-label.ts";
import { StreamMetrics, StreamSeries } from "../metrics/stream-metrics.ts";
import type { ClientInstruments, RetryInstruments } from "../metrics/instruments.ts";
import { PerMethod, PerStatus } from "../metrics/per-method.ts";
import { messageLength, wireMessage } from "../metrics/message-frames.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { Retries } from "./retries.ts";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";

/** How a call or an attempt ended. */
export interface RpcStatus {
  readonly code: number;
  readonly details: string;
}

export interface ClientTelemetryOptions {
  readonly instruments: ClientInstruments;
  /** The channel's `grpc.target` label. */
  readonly target: string;
  /** Gives the `grpc.method` label of a path such as `/package.Service/Method`. */
  readonly methodLabel: (path: string) => string;
  readonly optionalLabels: ReadonlySet<OptionalLabel>;
  /** Without one, no spans are made. */
  readonly tracer: ClientTracer | undefined;
}

/** Records the calls of one channel: metrics of gRFC A66 and A96, spans of gRFC A72. */
export class ClientTelemetry {
  readonly #followsRetries: boolean;
  readonly #tracer: ClientTracer | undefined;
  readonly #hasCustomLabel: boolean;
  /** By path, and by custom label where that is recorded. */
  readonly #methods: PerMethod<ClientMethod>;

  constructor(
    { instruments, target, methodLabel, optionalLabels, tracer }: ClientTelemetryOptions,
  ) {
    this.#followsRetries = instruments.retries !== undefined || tracer !== undefined;
    this.#tracer = tracer;
    this.#hasCustomLabel = optionalLabels.has("grpc.client.call.custom");
    // What grpc-js's load balancers know of these is not passed on: they are empty, as the gRFCs
    // say of a channel without xDS.
    const ofLoadBalancer = Object.fromEntries(
      (["grpc.lb.locality", "grpc.lb.backend_service"] as const)
        .filter((label) => optionalLabels.has(label))
        .map((label) => [label, ""]),
    );
    this.#methods = new PerMethod((path, label) => {
      const method = {
        "grpc.method": methodLabel(path),
        "grpc.target": target,
      };
      const attributes = this.#hasCustomLabel
        ? { ...method, "grpc.client.call.custom": label }
        : method;
      return {
        attributes,
        retries: instruments.retries,
        attemptStarted: createSeries(instruments.attemptStarted, attributes),
        attempt: new PerStatus((status) =>
          new StreamSeries(instruments.attempt, {
            ...attributes,
            "grpc.status": status,
            ...ofLoadBalancer,
          })
        ),
        callDuration: new PerStatus((status) =>
          createSeries(instruments.callDuration, {
            ...attributes,
            "grpc.status": status,
          })
        ),
      };
    });
  }

  /** Whether spans are made. */
  get isTraced(): boolean {
    return this.#tracer !== undefined;
  }

  /** The application started a call; its message is not serialized yet. */
  startCall(path: string): ClientCall {
    const label = this.#hasCustomLabel ? currentCustomLabel() : "";
    const retries = this.#followsRetries ? new Retries() : undefined;
    return new ClientCall(this.#methods.get(path, label), this.#tracer?.startCall(path), retries);
  }
}

/** What calls of one method have in common. */
interface ClientMethod {
  /** The labels of all its metrics. */
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

  /** @param retries Missing if nobody wants to know what kind of attempt each is. */
  constructor(
    method: ClientMethod,
    span: CallSpan | undefined,
    retries: Retries | undefined,
  ) {
    this.#method = method;
    this.#span = span;
    this.#retries = retries;
  }

  /** The call has to wait for the name to be resolved. */
  resolutionDelayed(): void {
    this.#span?.resolutionDelayed();
  }

  /** The name is resolved. */
  resolved(): void {
    this.#span?.resolved();
  }

  /**
   * An attempt starts: the first, a retry, a hedge or a transparent retry. The name is resolved, a
   * subchannel is not picked yet.
   *
   * @param metadata That of the attempt.
   * @param hedging Whether the method's policy is one of hedging.
   * @returns undefined if what grpc-js starts is not to be followed. Of a call that ends in the turn
   * in which it is made grpc-js opens a stream nonetheless, which nobody may ever end. As in grpc-go,
   * a call that was given up by then has no attempt, and one whose message cannot be serialized has
   * one that ends as the call did.
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

  /** The call has its final status, which the application has not seen yet. */
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

  /** The metadata to send in place of this. */
  outgoing(metadata: Metadata): Metadata {
    return this.#span?.outgoing(metadata) ?? metadata;
  }

  /** The attempt has to wait for the load balancer to pick a subchannel. */
  pickDelayed(): void {
    this.#span?.pickDelayed();
  }

  /** A stream was created on the subchannel that was picked. */
  streamCreated(): void {
    this.#span?.streamCreated();
  }

  /** Metadata came in. */
  incoming(metadata: Metadata): void {
    this.#span?.incoming(metadata);
  }

  /** The application sent a message, given in its frame. */
  sending(frame: Uint8Array): void {
    this.#span?.sent(wireMessage(frame));
  }

  /** A message, given in its frame, was handed to the transport. */
  sent(frame: Uint8Array): void {
    this.countSent(messageLength(frame));
  }

  /** A message, given in its frame, came in. */
  received(frame: Uint8Array): void {
    this.countReceived(messageLength(frame));
    this.#span?.received(wireMessage(frame));
  }

  end({ code, details }: RpcStatus): void {
    this.recordEnd(code, performance.now());
    this.#retries?.endAttempt();
    this.#span?.end(code, details);
  }
}
