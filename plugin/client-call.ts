import type { Metadata } from "@grpc/grpc-js";
import type { AttemptSpan, CallSpan, ClientTracer } from "./client-spans.ts";
import { currentCustomLabel } from "./custom-label.ts";
import { Exchange } from "./exchange.ts";
import type { ClientInstruments } from "./instruments.ts";
import { messageLength, wireMessage } from "./message-frames.ts";
import { MethodAttributes, PerMethod } from "./method-attributes.ts";
import type { OptionalLabel } from "./optional-labels.ts";
import { Retries } from "./retries.ts";

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
  readonly #instruments: ClientInstruments;
  readonly #tracer: ClientTracer | undefined;
  readonly #hasCustomLabel: boolean;
  /** By path, and by custom label where that is recorded. */
  readonly #methods: PerMethod<PerMethod<CallAttributes>>;

  constructor(
    { instruments, target, methodLabel, optionalLabels, tracer }: ClientTelemetryOptions,
  ) {
    this.#instruments = instruments;
    this.#tracer = tracer;
    this.#hasCustomLabel = optionalLabels.has("grpc.client.call.custom");
    // What grpc-js's load balancers know of these is not passed on: they are empty, as the gRFCs
    // say of a channel without xDS.
    const ofLoadBalancer = Object.fromEntries(
      (["grpc.lb.locality", "grpc.lb.backend_service"] as const)
        .filter((label) => optionalLabels.has(label))
        .map((label) => [label, ""]),
    );
    this.#methods = new PerMethod((path) => {
      const method = { "grpc.method": methodLabel(path), "grpc.target": target };
      return new PerMethod((label) => {
        const started = this.#hasCustomLabel
          ? { ...method, "grpc.client.call.custom": label }
          : method;
        return {
          call: new MethodAttributes(started),
          attempt: new MethodAttributes(started, ofLoadBalancer),
        };
      });
    });
  }

  /** Whether spans are made. */
  get isTraced(): boolean {
    return this.#tracer !== undefined;
  }

  /** The application started a call; its message is not serialized yet. */
  startCall(path: string): ClientCall {
    const label = this.#hasCustomLabel ? currentCustomLabel() : "";
    return new ClientCall(
      this.#instruments,
      this.#methods.get(path).get(label),
      this.#tracer?.startCall(path),
    );
  }
}

interface CallAttributes {
  readonly call: MethodAttributes;
  readonly attempt: MethodAttributes;
}

/** One call in progress, as the application sees it. */
export class ClientCall {
  readonly #instruments: ClientInstruments;
  readonly #attributes: CallAttributes;
  readonly #span: CallSpan | undefined;
  readonly #startMs = performance.now();
  readonly #retries = new Retries();

  constructor(
    instruments: ClientInstruments,
    attributes: CallAttributes,
    span: CallSpan | undefined,
  ) {
    this.#instruments = instruments;
    this.#attributes = attributes;
    this.#span = span;
  }

  /** How many attempts were started so far. */
  get attempts(): number {
    return this.#retries.attempts;
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
   * @param previous How many attempts were made before, without transparent retries.
   * @param hedging Whether the method's policy is one of hedging.
   */
  startAttempt(previous: number, hedging: boolean): ClientAttempt {
    const transparent = this.#retries.startAttempt(previous, hedging);
    const span = this.#span?.startAttempt(this.#retries.previous, transparent);
    const { started } = this.#attributes.attempt;
    this.#instruments.attemptStarted.add(1, started, span?.context);
    const exchange = new Exchange(
      this.#instruments.attempt,
      this.#attributes.attempt,
      span?.context,
    );
    return new ClientAttempt(this.#retries, exchange, span);
  }

  /** The call has its final status, which the application has not seen yet. */
  end({ code, details }: RpcStatus): void {
    const seconds = (performance.now() - this.#startMs) / 1000;
    const { call } = this.#attributes;
    const context = this.#span?.context;
    this.#instruments.callDuration.record(seconds, call.ended(code), context);
    this.#retries.record(this.#instruments, call.started, context);
    this.#span?.end(code, details);
  }
}

/** One attempt in progress. */
export class ClientAttempt {
  readonly #retries: Retries;
  readonly #exchange: Exchange;
  readonly #span: AttemptSpan | undefined;

  constructor(retries: Retries, exchange: Exchange, span: AttemptSpan | undefined) {
    this.#retries = retries;
    this.#exchange = exchange;
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
    this.#exchange.sent(messageLength(frame));
  }

  /** A message, given in its frame, came in. */
  received(frame: Uint8Array): void {
    this.#exchange.received(messageLength(frame));
    this.#span?.received(wireMessage(frame));
  }

  end({ code, details }: RpcStatus): void {
    this.#exchange.end(code);
    this.#retries.endAttempt();
    this.#span?.end(code, details);
  }
}
