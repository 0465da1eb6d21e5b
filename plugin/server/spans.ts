import { SpanKind } from "@opentelemetry/api";
import type { Context, Tracer } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";
import { activeContext } from "../tracing/application-context.ts";
import { MessageEvents } from "../tracing/message-events.ts";
import type { WireMessage } from "../metrics/message-frames.ts";
import type { Propagation } from "../tracing/propagation.ts";
import { RpcSpan, spanName } from "../tracing/rpc-span.ts";
import { decodedMessage } from "../tracing/status-message.ts";

/** Makes the spans of a server's calls (gRFC A72). */
export class ServerTracer {
  readonly #tracer: Tracer;
  readonly #propagation: Propagation | undefined;

  /** @param propagation Without one, what the client tells of its span is not read. */
  constructor(tracer: Tracer, propagation: Propagation | undefined) {
    this.#tracer = tracer;
    this.#propagation = propagation;
  }

  /**
   * The parent is the span that the client told of, if it told of one.
   *
   * @returns undefined if the tracer fails.
   */
  startCall(headers: IncomingHttpHeaders): ReceivedSpan | undefined {
    const active = activeContext();
    const parent = this.#propagation?.extract(active, headers) ?? active;
    const name = spanName("Recv", String(headers[":path"]));
    const span = RpcSpan.start(this.#tracer, name, { kind: SpanKind.SERVER }, parent);
    return span && new ReceivedSpan(span, headers);
  }
}

/** The span `Recv.…` of one call. */
export class ReceivedSpan {
  readonly #span: RpcSpan;
  readonly #events: MessageEvents | undefined;
  readonly #receivedEncoding: string | undefined;
  readonly context: Context;

  constructor(span: RpcSpan, headers: IncomingHttpHeaders) {
    this.#span = span;
    this.#events = span.isRecording ? new MessageEvents(span) : undefined;
    this.#receivedEncoding = headers["grpc-encoding"]?.toString();
    this.context = span.context;
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
    this.#span.end(code, decodedMessage(message), endMs);
  }
}
