import type { Context } from "@opentelemetry/api";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { StreamMetrics, StreamSeries } from "../metrics/stream-metrics.ts";
import type { ServerInstruments } from "../metrics/instruments.ts";
import { OTHER, PerStatus } from "../metrics/per-method.ts";
import { messageLength, wireMessage } from "../metrics/message-frames.ts";
import type { MessageReceiver } from "../metrics/message-frames.ts";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";
import type { ReceivedSpan, ServerTracer } from "./spans.ts";

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
 * Series are made for registered methods alone, so a stranger who calls methods that do not exist adds
 * neither series nor memory.
 */
export class ServerTelemetry {
  readonly #instruments: ServerInstruments;
  readonly #methodLabel: (path: string) => string;
  readonly #tracer: ServerTracer | undefined;
  readonly #other: ServerMethod;

  constructor({ instruments, methodLabel, tracer }: ServerTelemetryOptions) {
    this.#instruments = instruments;
    this.#methodLabel = methodLabel;
    this.#tracer = tracer;
    this.#other = serverMethod(instruments, OTHER);
  }

  /** Makes the series of a registered method, which its calls have in common. */
  method(path: string): ServerMethod {
    return serverMethod(this.#instruments, this.#methodLabel(path));
  }

  /**
   * The first header frame of a call came in.
   *
   * @param method Missing if its `:path` is none that the application registered.
   */
  startCall(headers: IncomingHttpHeaders, method = this.#other): ServerCall {
    const span = this.#tracer?.startCall(headers);
    method.started.record(1, span?.context);
    return new ServerCall(method.ended, span);
  }

  /**
   * The handler of a registered method was called; nothing else is known of the call.
   *
   * @returns What to tell how it ended.
   */
  startHandler({ started, ended }: ServerMethod): { end(code: number): void } {
    const startMs = performance.now();
    started.record(1, undefined);
    return {
      end: (code) =>
        ended.get(code).duration.record((performance.now() - startMs) / 1000, undefined),
    };
  }
}

/** What calls of one method have in common. */
export interface ServerMethod {
  readonly started: Series;
  readonly ended: PerStatus<StreamSeries>;
}

function serverMethod(
  instruments: ServerInstruments,
  label: string,
): ServerMethod {
  const attributes = { "grpc.method": label };
  return {
    started: createSeries(instruments.callStarted, attributes),
    ended: new PerStatus((status) =>
      new StreamSeries(instruments.call, {
        ...attributes,
        "grpc.status": status,
      })
    ),
  };
}

/** One call in progress on a server. */
export class ServerCall extends StreamMetrics implements MessageReceiver {
  readonly #span: ReceivedSpan | undefined;

  constructor(series: PerStatus<StreamSeries>, span: ReceivedSpan | undefined) {
    super(series, span?.context);
    this.#span = span;
  }

  /** The context that the call is to be handled in: its span's, if it has one. */
  get context(): Context | undefined {
    return this.#span?.context;
  }

  /**
   * A message, given in its frame, was handed to the transport.
   *
   * @param headers Those of the response.
   */
  sent(frame: Uint8Array, headers: OutgoingHttpHeaders | undefined): void {
    this.countSent(messageLength(frame));
    this.#span?.sent(wireMessage(frame), headers?.["grpc-encoding"]?.toString());
  }

  /** A message came in. */
  received(bytes: number, compressed: boolean, trailer: number): void {
    this.countReceived(bytes);
    this.#span?.received({ bytes, compressed, trailer });
  }

  /**
   * @param message As in the trailer `grpc-message`, percent-encoded.
   * @param endMs When it ended, in milliseconds on the clock of `performance.now()`.
   */
  end(code: number, message: string, endMs: number): void {
    this.recordEnd(code, endMs);
    this.#span?.end(code, message, endMs);
  }
}
