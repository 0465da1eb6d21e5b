import type { Metadata } from "@grpc/grpc-js";
import { SpanKind } from "@opentelemetry/api";
import type { Context, Tracer } from "@opentelemetry/api";
import { activeContext } from "../tracing/application-context.ts";
import { MessageEvents } from "../tracing/message-events.ts";
import type { WireMessage } from "../metrics/message-frames.ts";
import type { Propagation } from "../tracing/propagation.ts";
import { RpcSpan, spanName } from "../tracing/rpc-span.ts";

/** Makes the spans of a channel's calls (gRFC A72). */
export class ClientTracer {
  readonly #tracer: Tracer;
  readonly #propagation: Propagation | undefined;

  /** @param propagation Without one, spans are made but the server is not told of them. */
  constructor(tracer: Tracer, propagation: Propagation | undefined) {
    this.#tracer = tracer;
    this.#propagation = propagation;
  }

  /**
   * The parent is the span of the active context.
   *
   * @returns undefined if the tracer fails.
   */
  startCall(path: string): CallSpan | undefined {
    const name = spanName("Sent", path);
    const span = RpcSpan.start(this.#tracer, name, { kind: SpanKind.CLIENT }, activeContext());
    return span && new CallSpan(this, path, span);
  }

  /** @returns undefined if the tracer fails. */
  startAttempt(
    path: string,
    parent: Context,
    previous: number,
    transparent: boolean,
  ): AttemptSpan | undefined {
    const attributes = {
      "previous-rpc-attempts": previous,
      "transparent-retry": transparent,
    };
    const span = RpcSpan.start(this.#tracer, spanName("Attempt", path), { attributes }, parent);
    return span && new AttemptSpan(span, this.#propagation);
  }
}

/** The span `Sent.…` of one call. */
export class CallSpan {
  readonly #tracer: ClientTracer;
  readonly #path: string;
  readonly #span: RpcSpan;
  #resolutionDelayed = false;
  readonly context: Context;

  constructor(tracer: ClientTracer, path: string, span: RpcSpan) {
    this.#tracer = tracer;
    this.#path = path;
    this.#span = span;
    this.context = span.context;
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
   * @returns undefined if the tracer fails.
   */
  startAttempt(previous: number, transparent: boolean): AttemptSpan | undefined {
    return this.#tracer.startAttempt(
      this.#path,
      this.context,
      previous,
      transparent,
    );
  }

  end(code: number, details: string): void {
    this.#span.end(code, details);
  }
}

/** The span `Attempt.…` of one attempt. */
export class AttemptSpan {
  readonly #span: RpcSpan;
  readonly #events: MessageEvents | undefined;
  readonly #propagation: Propagation | undefined;
  readonly context: Context;
  #pickDelayed = false;
  #sentEncoding: string | undefined;
  #receivedEncoding: string | undefined;

  constructor(span: RpcSpan, propagation: Propagation | undefined) {
    this.#span = span;
    this.#events = span.isRecording ? new MessageEvents(span) : undefined;
    this.#propagation = propagation;
    this.context = span.context;
  }

  /** The metadata to send: a copy, to which the propagator has added this span's context. */
  outgoing(metadata: Metadata): Metadata {
    this.#sentEncoding = first(metadata, "grpc-encoding");
    return this.#propagation?.inject(this.context, metadata) ?? metadata;
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
    this.#span.end(code, details);
  }
}

function first(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
