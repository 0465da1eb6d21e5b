import { SpanKind } from "@opentelemetry/api";
import type { Context, Link, Tracer } from "@opentelemetry/api";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { wireMessage } from "../metrics/message-frames.ts";
import { MessageEvents, RpcSpan } from "../tracing/rpc-span.ts";

/** Starts the spans of a server's calls (gRFC A72). */
export class ServerTracer {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /**
   * Starts the span of a call.
   *
   * @param parent What is trusted of the context that the client sent, with its span if it has one.
   * @param links The client's span if it is not trusted as the parent.
   * @returns Undefined if the tracer fails.
   */
  startCall(
    name: string,
    headers: IncomingHttpHeaders,
    parent: Context,
    links: Link[],
  ): ReceivedSpan | undefined {
    const span = RpcSpan.start(this.#tracer, name, { kind: SpanKind.SERVER, links }, parent);
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

  /**
   * @param frame The message with its prefix.
   * @param headers The response headers.
   */
  sent(frame: Uint8Array, headers: OutgoingHttpHeaders | undefined): void {
    this.#events?.outbound(wireMessage(frame), headers?.["grpc-encoding"]?.toString());
  }

  received(bytes: number, compressed: boolean, trailer: number): void {
    this.#events?.inbound({ bytes, compressed, trailer }, this.#receivedEncoding);
  }

  /**
   * @param message The percent-encoded trailer `grpc-message`.
   * @param endMs The end, in milliseconds on the clock of `performance.now()`.
   */
  end(code: number, message: string, endMs: number): void {
    if (this.#span.isRecording) this.#span.end(code, decodedMessage(message), endMs);
    else this.#span.close(endMs);
  }
}

/**
 * Decodes the percent-encoded trailer `grpc-message`. Returns a badly encoded message as it is: it
 * must not be dropped (gRPC over HTTP/2, Responses).
 */
function decodedMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
