import { Metadata } from "@grpc/grpc-js";
import { context, SpanKind, trace } from "@opentelemetry/api";
import type { Context, Span, TextMapPropagator, Tracer } from "@opentelemetry/api";
import type { WireMessage } from "./message-frames.ts";
import { endSpan, MessageEvents, spanName } from "./message-events.ts";
import { metadataSetter } from "./carriers.ts";

/** Makes the spans of a channel's calls (gRFC A72). */
export class ClientTracer {
  readonly #tracer: Tracer;
  readonly #propagator: TextMapPropagator | undefined;

  /** @param propagator Without one, spans are made but the server is not told of them. */
  constructor(tracer: Tracer, propagator: TextMapPropagator | undefined) {
    this.#tracer = tracer;
    this.#propagator = propagator;
  }

  /** The parent is the span of the active context. */
  startCall(path: string): CallSpan {
    const parent = context.active();
    const span = this.#tracer.startSpan(
      spanName("Sent", path),
      { kind: SpanKind.CLIENT },
      parent,
    );
    return new CallSpan(this, path, span, trace.setSpan(parent, span));
  }

  startAttempt(
    path: string,
    parent: Context,
    previous: number,
    transparent: boolean,
  ): AttemptSpan {
    const span = this.#tracer.startSpan(spanName("Attempt", path), {
      attributes: {
        "previous-rpc-attempts": previous,
        "transparent-retry": transparent,
      },
    }, parent);
    return new AttemptSpan(span, trace.setSpan(parent, span), this.#propagator);
  }
}

/** The span `Sent.…` of one call. */
export class CallSpan {
  readonly #tracer: ClientTracer;
  readonly #path: string;
  readonly #span: Span;
  #resolutionDelayed = false;
  readonly context: Context;

  constructor(
    tracer: ClientTracer,
    path: string,
    span: Span,
    context: Context,
  ) {
    this.#tracer = tracer;
    this.#path = path;
    this.#span = span;
    this.context = context;
  }

  /** The call has to wait for the name to be resolved. */
  resolutionDelayed(): void {
    this.#resolutionDelayed = true;
  }

  /** The name is resolved, at last or from before. */
  resolved(): void {
    if (!this.#resolutionDelayed) return;
    this.#resolutionDelayed = false;
    this.#span.addEvent("Delayed name resolution complete");
  }

  /**
   * @param previous How many attempts were made before, without transparent retries.
   * @param transparent Whether this one is a transparent retry.
   */
  startAttempt(previous: number, transparent: boolean): AttemptSpan {
    return this.#tracer.startAttempt(
      this.#path,
      this.context,
      previous,
      transparent,
    );
  }

  end(code: number, details: string): void {
    endSpan(this.#span, code, details);
  }
}

/** The span `Attempt.…` of one attempt. */
export class AttemptSpan {
  readonly #span: Span;
  readonly #events: MessageEvents | undefined;
  readonly #propagator: TextMapPropagator | undefined;
  readonly context: Context;
  #pickDelayed = false;
  #sentEncoding: string | undefined;
  #receivedEncoding: string | undefined;

  constructor(
    span: Span,
    context: Context,
    propagator: TextMapPropagator | undefined,
  ) {
    this.#span = span;
    this.#events = span.isRecording() ? new MessageEvents(span) : undefined;
    this.#propagator = propagator;
    this.context = context;
  }

  /** The metadata to send: a copy, to which the propagator has added this span's context. */
  outgoing(metadata: Metadata): Metadata {
    this.#sentEncoding = first(metadata, "grpc-encoding");
    if (this.#propagator === undefined) return metadata;
    const outgoing = metadata.clone();
    this.#propagator.inject(this.context, outgoing, metadataSetter);
    return outgoing;
  }

  incoming(metadata: Metadata): void {
    this.#receivedEncoding = first(metadata, "grpc-encoding");
  }

  /** The attempt has to wait for the load balancer to pick a subchannel. */
  pickDelayed(): void {
    this.#pickDelayed = true;
  }

  /** A stream was created on the subchannel that was picked, at last or at once. */
  streamCreated(): void {
    if (!this.#pickDelayed) return;
    this.#pickDelayed = false;
    this.#span.addEvent("Delayed LB pick complete");
  }

  sent(message: WireMessage): void {
    this.#events?.outbound(message, this.#sentEncoding);
  }

  received(message: WireMessage): void {
    this.#events?.inbound(message, this.#receivedEncoding);
  }

  end(code: number, details: string): void {
    endSpan(this.#span, code, details);
  }
}

function first(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
