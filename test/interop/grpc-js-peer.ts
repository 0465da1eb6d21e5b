import * as grpc from "@grpc/grpc-js";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { GrpcOpenTelemetry, GrpcTraceBinPropagator } from "../../plugin/mod.ts";
import { echoService, listen } from "../support/echo.ts";
import { Recording } from "../support/series.ts";
import { makeCall } from "./grpc-js-calls.ts";
import { interopHandlers } from "./grpc-js-handlers.ts";
import type { CallRequest, OngoingCall, Peer, Propagation, Report, Span } from "./peer.ts";

/** The metrics of gRFC A94, which are disabled by default in both languages. */
const SUBCHANNEL_METRICS = [
  "grpc.subchannel.disconnections",
  "grpc.subchannel.connection_attempts_succeeded",
  "grpc.subchannel.connection_attempts_failed",
  "grpc.subchannel.open_connections",
];

/** A peer in this process, with grpc-js and the plugin of this project. */
export class GrpcJsPeer implements Peer {
  readonly #recording = new Recording();
  readonly #spans = new InMemorySpanExporter();
  readonly #plugin: GrpcOpenTelemetry;
  readonly #server: grpc.Server;
  readonly #clients = new Map<string, grpc.Client>();
  #hanging = 0;
  #port = 0;

  private constructor(propagation: Propagation) {
    this.#plugin = new GrpcOpenTelemetry({
      meterProvider: this.#recording.meterProvider,
      enableMetrics: SUBCHANNEL_METRICS,
      tracerProvider: new TracerProvider({
        spanProcessors: [new SimpleSpanProcessor({ exporter: this.#spans })],
      }),
      textMapPropagator: propagation === "traceparent"
        ? new W3CTraceContextPropagator()
        : new GrpcTraceBinPropagator(),
    });
    this.#server = this.#plugin.instrumentServer(new grpc.Server());
  }

  /** Starts a peer and waits until it listens. */
  static async start(propagation: Propagation = "traceparent"): Promise<GrpcJsPeer> {
    const peer = new GrpcJsPeer(propagation);
    const handlers = interopHandlers({
      hung: () => peer.#hanging++,
      relay: (target) => peer.#relay(target),
    });
    peer.#server.addService(echoService, handlers);
    peer.#port = await listen(peer.#server);
    return peer;
  }

  get port(): number {
    return this.#port;
  }

  call(request: CallRequest): OngoingCall {
    return makeCall(this.#client(request), request);
  }

  async report(): Promise<Report> {
    return {
      metrics: await this.#recording.metrics(),
      spans: this.#spans.getFinishedSpans().map(toSpan),
      hanging: this.#hanging,
    };
  }

  stop(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  async #relay(target: string): Promise<string> {
    const path = "/grpc.examples.echo.Echo/UnaryEcho";
    const { replies } = await this.call({ target, path, messages: ["relayed"] }).result;
    return replies.join();
  }

  #client({ target, gzip = false }: CallRequest): grpc.Client {
    const key = `${target} ${gzip}`;
    let client = this.#clients.get(key);
    if (client === undefined) {
      const { gzip: algorithm } = grpc.compressionAlgorithms;
      const options = gzip ? { "grpc.default_compression_algorithm": algorithm } : {};
      client = new grpc.Client(
        target,
        grpc.credentials.createInsecure(),
        this.#plugin.clientOptions(options),
      );
      this.#clients.set(key, client);
    }
    return client;
  }
}

function toSpan(span: ReadableSpan): Span {
  const { traceId, spanId } = span.spanContext();
  const { code, message } = span.status;
  return {
    name: span.name,
    kind: SpanKind[span.kind]!,
    traceId,
    spanId,
    ...(span.parentSpanContext && { parentId: span.parentSpanContext.spanId }),
    attributes: span.attributes,
    events: span.events.map(({ name, attributes = {} }) => ({ name, attributes })),
    status: {
      code: SpanStatusCode[code] as Span["status"]["code"],
      ...(message !== undefined && { message }),
    },
  };
}
