import { context, SpanKind, trace } from "@opentelemetry/api";
import type { Context, Span, TextMapPropagator, Tracer } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";
import { headersGetter } from "./carriers.ts";
import { endSpan, MessageEvents, spanName } from "./message-events.ts";
import type { WireMessage } from "./message-frames.ts";

/** Makes the spans of a server's calls (gRFC A72). */
export class ServerTracer {
  readonly #tracer: Tracer;
  readonly #propagator: TextMapPropagator | undefined;

  /** @param propagator Without one, what the client tells of its span is not read. */
  constructor(tracer: Tracer, propagator: TextMapPropagator | undefined) {
    this.#tracer = tracer;
    this.#propagator = propagator;
  }

  /** The parent is the span that the client told of, if it told of one. */
  startCall(headers: IncomingHttpHeaders): ReceivedSpan {
    const active = context.active();
    const parent = this.#propagator?.extract(active, headers, headersGetter) ??
      active;
    const span = this.#tracer.startSpan(
      spanName("Recv", String(headers[":path"])),
      { kind: SpanKind.SERVER },
      parent,
    );
    return new ReceivedSpan(span, trace.setSpan(parent, span), headers);
  }
}

/** The span `Recv.…` of one call. */
export class ReceivedSpan {
  readonly #span: Span;
  readonly #events: MessageEvents | undefined;
  readonly #receivedEncoding: string | undefined;
  readonly context: Context;

  constructor(span: Span, context: Context, headers: IncomingHttpHeaders) {
    this.#span = span;
    this.#events = span.isRecording() ? new MessageEvents(span) : undefined;
    this.#receivedEncoding = headers["grpc-encoding"]?.toString();
    this.context = context;
  }

  /** @param encoding The `grpc-encoding` of the messages that the server sends. */
  sent(message: WireMessage, encoding: string | undefined): void {
    this.#events?.outbound(message, encoding);
  }

  received(message: WireMessage): void {
    this.#events?.inbound(message, this.#receivedEncoding);
  }

  /**
   * @param message As in the trailer `grpc-message`, percent-encoded.
   * @param endMs When it ended, in milliseconds on the clock of `performance.now()`.
   */
  end(code: number, message: string, endMs: number): void {
    endSpan(this.#span, code, decodeURI(message), endMs);
  }
}
