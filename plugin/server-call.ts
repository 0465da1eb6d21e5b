import type { Context } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";
import { Exchange } from "./exchange.ts";
import type { ServerInstruments } from "./instruments.ts";
import { messageLength, wireMessage } from "./message-frames.ts";
import type { WireMessage } from "./message-frames.ts";
import { MethodAttributes, OTHER, PerMethod } from "./method-attributes.ts";
import type { ReceivedSpan, ServerTracer } from "./server-spans.ts";

export interface ServerTelemetryOptions {
  readonly instruments: ServerInstruments;
  /** Gives the `grpc.method` label of a registered method's path. */
  readonly methodLabel: (path: string) => string;
  /** Without one, no spans are made. */
  readonly tracer: ServerTracer | undefined;
}

/**
 * Records the calls of one server: metrics of gRFC A66, spans of gRFC A72.
 *
 * Attribute objects are made once for each registered method and status, so a stranger who calls
 * methods that do not exist adds neither series nor memory.
 */
export class ServerTelemetry {
  readonly #instruments: ServerInstruments;
  readonly #tracer: ServerTracer | undefined;
  readonly #methods: PerMethod<MethodAttributes>;
  readonly #other = new MethodAttributes({ "grpc.method": OTHER });

  constructor({ instruments, methodLabel, tracer }: ServerTelemetryOptions) {
    this.#instruments = instruments;
    this.#tracer = tracer;
    this.#methods = new PerMethod((path) =>
      new MethodAttributes({ "grpc.method": methodLabel(path) })
    );
  }

  /**
   * The first header frame of a call came in.
   *
   * @param isRegistered Whether its `:path` is that of a method that the application registered.
   */
  startCall(headers: IncomingHttpHeaders, isRegistered: boolean): ServerCall {
    const attributes = isRegistered ? this.#methods.get(String(headers[":path"])) : this.#other;
    const span = this.#tracer?.startCall(headers);
    this.#instruments.callStarted.add(1, attributes.started, span?.context);
    return new ServerCall(new Exchange(this.#instruments.call, attributes, span?.context), span);
  }

  /**
   * The handler of a registered method was called; nothing else is known of the call.
   *
   * @returns What to tell how it ended.
   */
  startHandler(path: string): { end(code: number): void } {
    const attributes = this.#methods.get(path);
    const startMs = performance.now();
    this.#instruments.callStarted.add(1, attributes.started);
    return {
      end: (code) =>
        this.#instruments.call.duration.record(
          (performance.now() - startMs) / 1000,
          attributes.ended(code),
        ),
    };
  }
}

/** One call in progress on a server. */
export class ServerCall {
  readonly #exchange: Exchange;
  readonly #span: ReceivedSpan | undefined;

  constructor(exchange: Exchange, span: ReceivedSpan | undefined) {
    this.#exchange = exchange;
    this.#span = span;
  }

  /** The context that the call is to be handled in: its span's, if it has one. */
  get context(): Context | undefined {
    return this.#span?.context;
  }

  /** @param encoding The `grpc-encoding` of the messages that the server sends. */
  responding(encoding: string | undefined): void {
    this.#span?.responding(encoding);
  }

  /** A message, given in its frame, was handed to the transport. */
  sent(frame: Uint8Array): void {
    this.#exchange.sent(messageLength(frame));
    this.#span?.sent(wireMessage(frame));
  }

  /** A message came in. */
  received(message: WireMessage): void {
    this.#exchange.received(message.bytes);
    this.#span?.received(message);
  }

  /**
   * @param message As in the trailer `grpc-message`, percent-encoded.
   * @param endMs When it ended, in milliseconds on the clock of `performance.now()`.
   */
  end(code: number, message: string, endMs: number): void {
    this.#exchange.end(code, endMs);
    this.#span?.end(code, message, endMs);
  }
}
