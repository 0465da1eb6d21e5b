import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { MethodFilter } from "../method-filter.ts";
import type { Instruments } from "../metrics/instruments.ts";
import { OTHER } from "../metrics/labels.ts";
import { messageLength } from "../metrics/message-frames.ts";
import type { MessageReceiver } from "../metrics/message-frames.ts";
import { PerStatus } from "../metrics/per-method.ts";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";
import { StreamMetrics, StreamSeries } from "../metrics/stream-metrics.ts";
import { CallContext } from "../tracing/call-context.ts";
import type { Propagation } from "../tracing/propagation.ts";
import { spanName } from "../tracing/rpc-span.ts";
import { linksTo, withBaggageOnly } from "../tracing/untrusted-peer.ts";
import type { ReceivedSpan, ServerTracer } from "./spans.ts";

export interface ServerTelemetryOptions {
  readonly instruments: Instruments;
  /** Returns the `grpc.method` label of a registered method's path. */
  readonly methodLabel: (path: string) => string;
  /** Turns spans off if undefined. */
  readonly tracer: ServerTracer | undefined;
  /** Reads what clients send: span contexts and baggage. */
  readonly propagation: Propagation | undefined;
  /** Whether the span of a client is no parent, but a link. Defaults to false. */
  readonly publicEndpoint?: boolean;
  /** Returns whether the calls of a path are recorded. */
  readonly includes: (path: string) => boolean;
  /** The application's filter. A call that it refuses is still handled in what the client sent. */
  readonly methodFilter: MethodFilter | undefined;
}

/**
 * Records the calls of one server: the metrics of gRFC A66 and the spans of gRFC A72.
 *
 * Only registered methods have their own series, so a client that calls methods that do not exist
 * adds neither series nor memory.
 */
export class ServerTelemetry {
  readonly #instruments: Instruments;
  readonly #methodLabel: (path: string) => string;
  readonly #tracer: ServerTracer | undefined;
  readonly #propagation: Propagation | undefined;
  readonly #publicEndpoint: boolean;
  readonly #methodFilter: MethodFilter | undefined;
  readonly #other: ServerMethod;
  /** Returns whether the calls of a path are recorded, if the application's filter passes them. */
  readonly includes: (path: string) => boolean;

  constructor(
    {
      instruments,
      methodLabel,
      tracer,
      propagation,
      publicEndpoint = false,
      includes,
      methodFilter,
    }: ServerTelemetryOptions,
  ) {
    this.includes = includes;
    this.#methodFilter = methodFilter;
    this.#instruments = instruments;
    this.#methodLabel = methodLabel;
    this.#tracer = tracer;
    this.#propagation = propagation;
    this.#publicEndpoint = publicEndpoint;
    this.#other = serverMethod(instruments, OTHER, OTHER, true);
  }

  /** Creates the series of a registered method, which all its calls share. */
  method(path: string): ServerMethod {
    return serverMethod(this.#instruments, path, this.#methodLabel(path), this.#passes(path));
  }

  /**
   * Returns whether the application's filter passes the calls of a path. The answer for a method that
   * is not registered is not kept: a client may call any number of them.
   *
   * @param method Omitted if the application did not register the method.
   */
  records(path: string, method?: ServerMethod): boolean {
    return method?.isRecorded ?? this.#passes(path);
  }

  #passes(path: string): boolean {
    return this.#methodFilter?.(path) ?? true;
  }

  /** Returns the context to handle a call in that is not recorded: what the client sent. */
  handlerContext(headers: IncomingHttpHeaders): CallContext {
    return new CallContext(this.#trusted(this.#sent(headers)));
  }

  #trusted(sent: Context): Context {
    return this.#publicEndpoint ? withBaggageOnly(sent) : sent;
  }

  #sent(headers: IncomingHttpHeaders): Context {
    return this.#propagation?.extract(headers) ?? ROOT_CONTEXT;
  }

  /**
   * Called when the headers of a call arrive.
   *
   * @param method Omitted if the application did not register the method in `:path`.
   */
  startCall(headers: IncomingHttpHeaders, method = this.#other): ServerCall {
    const sent = this.#sent(headers);
    const parent = this.#trusted(sent);
    const span = this.#tracer?.startCall(
      method.spanName,
      headers,
      parent,
      this.#publicEndpoint ? linksTo(sent) : [],
    );
    const callContext = span?.context ?? parent;
    method.started.record(1, callContext);
    return new ServerCall(method.ended, callContext, span);
  }

  /**
   * Called when the handler of a registered method starts, where nothing else of the call is visible.
   *
   * @returns An object to call when the handler ends.
   */
  startHandler({ started, ended }: ServerMethod): { end(code: number): void } {
    const startMs = performance.now();
    started.record(1, ROOT_CONTEXT);
    return {
      end: (code) =>
        ended.get(code).duration.record((performance.now() - startMs) / 1000, ROOT_CONTEXT),
    };
  }
}

/** What all calls of one method share. */
export interface ServerMethod {
  /** What the application's filter says of the method. */
  readonly isRecorded: boolean;
  readonly spanName: string;
  readonly started: Series;
  readonly ended: PerStatus<StreamSeries>;
}

function serverMethod(
  { serverCall }: Instruments,
  path: string,
  label: string,
  isRecorded: boolean,
): ServerMethod {
  const attributes = { "grpc.method": label };
  return {
    isRecorded,
    spanName: spanName("Recv", path),
    started: createSeries(serverCall.started, attributes),
    ended: new PerStatus((status) =>
      new StreamSeries(serverCall, { ...attributes, "grpc.status": status })
    ),
  };
}

/** One call in progress on a server. */
export class ServerCall extends StreamMetrics implements MessageReceiver {
  readonly #span: ReceivedSpan | undefined;
  /** The context to handle the call in. */
  readonly handlerContext: CallContext;

  /** @param context The context of the call's span, or what the client sent. */
  constructor(
    series: PerStatus<StreamSeries>,
    context: Context,
    span: ReceivedSpan | undefined,
  ) {
    super(series, context);
    this.#span = span;
    this.handlerContext = new CallContext(context);
  }

  /**
   * Called when a message is handed to the transport.
   *
   * @param frame The message with its prefix.
   * @param headers The response headers.
   */
  sent(frame: Uint8Array, headers: OutgoingHttpHeaders | undefined): void {
    this.countSent(messageLength(frame));
    this.#span?.sent(frame, headers);
  }

  received(bytes: number, compressed: boolean, trailer: number): void {
    this.countReceived(bytes);
    this.#span?.received(bytes, compressed, trailer);
  }

  /**
   * Called when the call has its status.
   *
   * @param message The percent-encoded trailer `grpc-message`.
   * @param endMs The end, in milliseconds on the clock of `performance.now()`.
   */
  end(code: number, message: string, endMs: number): void {
    this.recordEnd(code, endMs);
    this.#span?.end(code, message, endMs);
  }
}
