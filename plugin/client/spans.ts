import type { Metadata } from "@grpc/grpc-js";
import { SpanKind } from "@opentelemetry/api";
import type { Context, Tracer } from "@opentelemetry/api";
import { wireMessage } from "../metrics/message-frames.ts";
import { MessageEvents, RpcSpan, spanName } from "../tracing/rpc-span.ts";

/** Which delays have spans (gRFC A121). */
export interface DelaySpans {
  readonly calls: boolean;
  readonly attempts: boolean;
}

/** The names of the spans of one method. */
export interface SpanNames {
  readonly call: string;
  readonly attempt: string;
}

/** Returns the names of the spans of a method. */
export function spanNames(path: string): SpanNames {
  return { call: spanName("Sent", path), attempt: spanName("Attempt", path) };
}

/** Starts the spans of a channel's calls (gRFC A72) and of their delays (gRFC A121). */
export class ClientTracer {
  readonly #tracer: Tracer;
  readonly delays: DelaySpans;

  constructor(tracer: Tracer, delays: DelaySpans) {
    this.#tracer = tracer;
    this.delays = delays;
  }

  /**
   * Starts the span of a call.
   *
   * @param parent The context of the caller.
   * @returns Undefined if the tracer fails.
   */
  startCall(names: SpanNames, parent: Context): CallSpan | undefined {
    const span = RpcSpan.start(this.#tracer, names.call, { kind: SpanKind.CLIENT }, parent);
    return span && new CallSpan(this, names, span);
  }

  /**
   * Starts the span of an attempt.
   *
   * @param previous The number of previous attempts, without transparent retries.
   * @param transparent Whether the attempt is a transparent retry.
   * @returns Undefined if the tracer fails.
   */
  startAttempt(
    names: SpanNames,
    parent: Context,
    previous: number,
    transparent: boolean,
  ): AttemptSpan | undefined {
    const attributes = {
      "previous-rpc-attempts": previous,
      "transparent-retry": transparent,
    };
    const span = RpcSpan.start(this.#tracer, names.attempt, { attributes }, parent);
    return span && new AttemptSpan(this, span);
  }

  /**
   * Starts the span of a delay.
   *
   * @param type The attribute `grpc.delay_type`.
   * @param parent The context of the call or attempt.
   * @returns Undefined if the tracer fails.
   */
  startDelay(
    name: "Call Delay" | "Attempt Delay",
    type: string,
    parent: Context,
  ): DelaySpan | undefined {
    const attributes = { "grpc.delay_type": type };
    const span = RpcSpan.start(this.#tracer, name, { attributes }, parent);
    return span && new DelaySpan(span, type);
  }
}

/** The span `Sent.…` of one call. */
export class CallSpan {
  readonly #tracer: ClientTracer;
  readonly #names: SpanNames;
  readonly #span: RpcSpan;
  #resolutionDelayed = false;
  readonly context: Context;

  constructor(tracer: ClientTracer, names: SpanNames, span: RpcSpan) {
    this.#tracer = tracer;
    this.#names = names;
    this.#span = span;
    this.context = span.context;
  }

  /** Called when the call has to wait for name resolution. */
  resolutionDelayed(): void {
    this.#resolutionDelayed = true;
  }

  /** Called when the name is resolved, whether the call waited for it or not. */
  resolved(): void {
    if (!this.#resolutionDelayed) return;
    this.#resolutionDelayed = false;
    this.#span.addEvent("Delayed name resolution complete");
  }

  /** Starts the span of an attempt. See {@link ClientTracer.startAttempt}. */
  startAttempt(previous: number, transparent: boolean): AttemptSpan | undefined {
    return this.#tracer.startAttempt(
      this.#names,
      this.context,
      previous,
      transparent,
    );
  }

  /** Starts the span of a delay. See {@link ClientTracer.startDelay}. */
  startDelay(type: string): DelaySpan | undefined {
    return this.#tracer.startDelay("Call Delay", type, this.context);
  }

  end(code: number, details: string): void {
    this.#span.end(code, details);
  }
}

/** The span `Attempt.…` of one attempt. */
export class AttemptSpan {
  readonly #tracer: ClientTracer;
  readonly #span: RpcSpan;
  readonly #events: MessageEvents | undefined;
  readonly context: Context;
  #pickDelayed = false;
  #sentEncoding: string | undefined;
  #receivedEncoding: string | undefined;

  constructor(tracer: ClientTracer, span: RpcSpan) {
    this.#tracer = tracer;
    this.#span = span;
    this.#events = span.isRecording ? new MessageEvents(span) : undefined;
    this.context = span.context;
  }

  /** Called when the attempt has its metadata. */
  outgoing(metadata: Metadata): void {
    if (this.#events !== undefined) this.#sentEncoding = first(metadata, "grpc-encoding");
  }

  /** Called when the server's metadata arrives. */
  incoming(metadata: Metadata): void {
    if (this.#events !== undefined) this.#receivedEncoding = first(metadata, "grpc-encoding");
  }

  /** Called when the attempt has to wait for the load balancer to pick a subchannel. */
  pickDelayed(): void {
    this.#pickDelayed = true;
  }

  /** Called when the attempt has a stream on the picked subchannel, whether it waited or not. */
  streamCreated(): void {
    if (!this.#pickDelayed) return;
    this.#pickDelayed = false;
    this.#span.addEvent("Delayed LB pick complete");
  }

  /** Starts the span of a delay. See {@link ClientTracer.startDelay}. */
  startDelay(type: string): DelaySpan | undefined {
    return this.#tracer.startDelay("Attempt Delay", type, this.context);
  }

  /** @param frame A message with its prefix. */
  sent(frame: Uint8Array): void {
    this.#events?.outbound(wireMessage(frame), this.#sentEncoding);
  }

  /** @param frame A message with its prefix. */
  received(frame: Uint8Array): void {
    this.#events?.inbound(wireMessage(frame), this.#receivedEncoding);
  }

  end(code: number, details: string): void {
    this.#span.end(code, details);
  }
}

/** The span of one delay of a call or an attempt. */
export class DelaySpan {
  readonly #span: RpcSpan;
  readonly #type: string;
  #reason: string | undefined;

  constructor(span: RpcSpan, type: string) {
    this.#span = span;
    this.#type = type;
  }

  /**
   * Adds an event with the reason of the delay, unless it is the latest one.
   *
   * @param reason The attribute `grpc.delay_reason`, a text for people.
   */
  addReason(reason: string): void {
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#span.addEvent("Delay state transition", {
      "grpc.delay_type": this.#type,
      "grpc.delay_reason": reason,
    });
  }

  end(): void {
    this.#span.close();
  }
}

function first(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
