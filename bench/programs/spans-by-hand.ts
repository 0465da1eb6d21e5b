/**
 * An Echo server or client that makes the spans of gRFC A72 by hand, with the events, attributes and
 * contexts that the plugin gives them: `spans-by-hand.ts server sampled|unsampled` or
 * `spans-by-hand.ts client PORT sampled|unsampled`. It knows what these calls do, and handles no others,
 * so it shows what the SDK alone costs.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { TextMapGetter, TextMapSetter } from "@opentelemetry/api";
import { answerCommands, cpuMicroseconds } from "./commands.ts";
import { ECHO, listen, REQUEST } from "./echo.ts";
import type { EchoMessage } from "./echo.ts";
import { serveLoad } from "./load.ts";
import type { StartCall } from "./load.ts";
import { createTracing, SAMPLES_NOTHING, SpanCounter } from "./telemetry.ts";

const METHOD = "grpc.examples.echo.Echo.UnaryEcho";
/** The size of the request and of the reply. */
const SIZE = ECHO["UnaryEcho"]!.requestSerialize(REQUEST).length;

const setter: TextMapSetter<grpc.Metadata> = {
  set: (metadata, key, value) => metadata.set(key, value),
};
const getter: TextMapGetter<grpc.Metadata> = {
  keys: (metadata) => Object.keys(metadata.getMap()),
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
};

const isSampled = process.argv.at(-1) === "sampled";
const counter = new SpanCounter();
const { tracerProvider, textMapPropagator } = isSampled
  ? createTracing(counter)
  : createTracing(counter, SAMPLES_NOTHING);
const tracer = tracerProvider.getTracer("spans-by-hand");
const recorded = () => counter.spans;

const [side, port = ""] = process.argv.slice(2);
if (side === "server") {
  const server = new grpc.Server();
  server.addService(ECHO, { UnaryEcho: answer });
  answerCommands({ port: await listen(grpc, server) }, { cpu: cpuMicroseconds, recorded });
} else {
  serveLoad(tracedCalls(), recorded);
}

function answer(
  call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
  reply: grpc.sendUnaryData<EchoMessage>,
): void {
  const parent = textMapPropagator.extract(ROOT_CONTEXT, call.metadata, getter);
  const span = tracer.startSpan(`Recv.${METHOD}`, { kind: SpanKind.SERVER }, parent);
  span.addEvent("Inbound message", { "sequence-number": 0, "message-size": SIZE });
  context.with(trace.setSpan(parent, span), () => reply(null, call.request));
  span.addEvent("Outbound message", { "sequence-number": 0, "message-size": SIZE });
  span.setStatus({ code: SpanStatusCode.OK });
  span.end();
}

function tracedCalls(): StartCall {
  const Client = grpc.makeClientConstructor(ECHO, "Echo");
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  type Reply = grpc.requestCallback<EchoMessage>;
  type Method = (request: EchoMessage, metadata: grpc.Metadata, reply: Reply) => void;
  const unaryEcho = (client["UnaryEcho"] as unknown as Method).bind(client);
  return (done) => {
    const caller = context.active();
    const call = tracer.startSpan(`Sent.${METHOD}`, { kind: SpanKind.CLIENT }, caller);
    const callContext = trace.setSpan(caller, call);
    const attributes = { "previous-rpc-attempts": 0, "transparent-retry": false };
    const attempt = tracer.startSpan(`Attempt.${METHOD}`, { attributes }, callContext);
    const metadata = new grpc.Metadata();
    textMapPropagator.inject(trace.setSpan(callContext, attempt), metadata, setter);
    attempt.addEvent("Outbound message", { "sequence-number": 0, "message-size": SIZE });
    unaryEcho(REQUEST, metadata, (error) => {
      attempt.addEvent("Inbound message", { "sequence-number": 0, "message-size": SIZE });
      attempt.setStatus({ code: SpanStatusCode.OK });
      attempt.end();
      call.setStatus({ code: SpanStatusCode.OK });
      call.end();
      context.with(caller, done, undefined, error);
    });
  };
}
