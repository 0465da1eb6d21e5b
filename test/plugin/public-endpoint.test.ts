/** Servers that do not trust the spans of their clients. */
import * as grpc from "@grpc/grpc-js";
import { context, propagation, ROOT_CONTEXT, trace, TraceFlags } from "@opentelemetry/api";
import type { Context, TextMapPropagator } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { B3InjectEncoding, B3Propagator } from "@opentelemetry/propagator-b3";
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, readAll } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
after(() => context.disable());

const STRANGER = {
  traceId: "0123456789abcdef0123456789abcdef",
  spanId: "0123456789abcdef",
  traceFlags: TraceFlags.NONE,
};
const w3c = new W3CTraceContextPropagator();
const baggage = new W3CBaggagePropagator();

/** What a handler would pass on to the servers that it calls. */
function passedOn(propagator: TextMapPropagator): Record<string, string> {
  const headers: Record<string, string> = {};
  propagator.inject(context.active(), headers, {
    set: (carrier, key, value) => carrier[key] = value,
  });
  return headers;
}

/** Runs a server at the edge. Its handlers reply with what they would pass on, as JSON. */
async function atTheEdge(
  options: GrpcOpenTelemetryOptions & { textMapPropagator: TextMapPropagator },
  body: (client: EchoClient) => Promise<void>,
): Promise<void> {
  const { textMapPropagator } = options;
  const otel = new GrpcOpenTelemetry({ publicEndpoint: true, ...options });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, {
    ...echoHandlers,
    UnaryEcho: (_: unknown, reply: grpc.sendUnaryData<EchoMessage>) =>
      reply(null, { message: JSON.stringify(passedOn(textMapPropagator)) }),
    ServerStreamingEcho: (call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) => {
      call.write({ message: JSON.stringify(passedOn(textMapPropagator)) });
      call.end();
    },
  });
  const client = echoClient(`localhost:${await listen(server)}`, {});
  try {
    await body(client);
  } finally {
    client.close();
    server.forceShutdown();
  }
}

/** Makes a unary call with metadata that a stranger made up. */
function callWith(
  client: EchoClient,
  metadata: Record<string, string>,
): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    const sent = new grpc.Metadata();
    for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
    const call = client.UnaryEcho as unknown as (
      request: EchoMessage,
      metadata: grpc.Metadata,
      reply: grpc.requestCallback<EchoMessage>,
    ) => void;
    call.call(client, { message: "" }, sent, (error, reply) => {
      if (error) reject(error);
      else resolve(JSON.parse(reply!.message));
    });
  });
}

function traces() {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  return { tracerProvider, ended: () => exporter.getFinishedSpans() };
}

const header = (flags: string) => ({
  traceparent: `00-${STRANGER.traceId}-${STRANGER.spanId}-${flags}`,
  tracestate: "vendor=stranger",
});

for (const flags of ["00", "01"]) {
  test(`a call with the flags ${flags} begins a trace and has a link to the client's span`, async () => {
    const { tracerProvider, ended } = traces();
    await atTheEdge({ tracerProvider, textMapPropagator: w3c }, async (client) => {
      const { traceparent, tracestate } = await callWith(client, header(flags));
      const [span] = await eventually(() => {
        assert.equal(ended().length, 1);
        return ended();
      });
      const { traceId, spanId } = span!.spanContext();
      assert.notEqual(traceId, STRANGER.traceId);
      assert.equal(span!.parentSpanContext, undefined);
      assert.deepEqual(
        span!.links.map(({ context: { traceId, spanId, isRemote } }) => ({
          traceId,
          spanId,
          isRemote,
        })),
        [{ traceId: STRANGER.traceId, spanId: STRANGER.spanId, isRemote: true }],
      );
      // The handler passes on the span of the server, sampled as the server decides.
      assert.equal(traceparent, `00-${traceId}-${spanId}-01`);
      assert.equal(tracestate, undefined);
    });
  });
}

test("a stream and a call without a span begin traces without links", async () => {
  const { tracerProvider, ended } = traces();
  await atTheEdge({ tracerProvider, textMapPropagator: w3c }, async (client) => {
    await callWith(client, {});
    await callWith(client, { traceparent: "00-nonsense" });
    await readAll(client.ServerStreamingEcho({ message: "" }));
    await eventually(() => assert.equal(ended().length, 3));
    assert.deepEqual(ended().map(({ links }) => links.length), [0, 0, 0]);
  });
});

test("baggage is passed on unless its propagator is left out", async () => {
  const { tracerProvider } = traces();
  const sent = { ...header("01"), baggage: "user=ada" };
  const both = new CompositePropagator({ propagators: [w3c, baggage] });
  await atTheEdge({ tracerProvider, textMapPropagator: both }, async (client) => {
    assert.equal((await callWith(client, sent))["baggage"], "user=ada");
  });
  await atTheEdge({ tracerProvider, textMapPropagator: w3c }, async (client) => {
    assert.equal((await callWith(client, sent))["baggage"], undefined);
  });
});

const both = new CompositePropagator({ propagators: [w3c, baggage] });
const UNTRUSTED: Record<string, Omit<GrpcOpenTelemetryOptions, "textMapPropagator">> = {
  "without a tracer": {},
  "of a call that a filter refuses": {
    tracerProvider: traces().tracerProvider,
    methodFilter: () => false,
  },
};
for (const [what, options] of Object.entries(UNTRUSTED)) {
  test(`the handler does not pass the client's span on, ${what}`, () =>
    atTheEdge({ ...options, textMapPropagator: both }, async (client) => {
      assert.deepEqual(await callWith(client, { ...header("01"), baggage: "user=ada" }), {
        baggage: "user=ada",
      });
    }));
}

test("the debug flag of B3 does not reach other servers", async () => {
  const { tracerProvider } = traces();
  const b3 = new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER });
  await atTheEdge({ tracerProvider, textMapPropagator: b3 }, async (client) => {
    const sent = {
      "x-b3-traceid": STRANGER.traceId,
      "x-b3-spanid": STRANGER.spanId,
      "x-b3-flags": "1",
    };
    const passed = await callWith(client, sent);
    assert.equal(passed["x-b3-flags"], undefined);
    assert.equal(passed["x-b3-sampled"], "1");
    assert.notEqual(passed["x-b3-traceid"], STRANGER.traceId);
  });
});

test("by default the span of the client is the parent", async () => {
  const { tracerProvider, ended } = traces();
  const options = { tracerProvider, textMapPropagator: w3c, publicEndpoint: false };
  await atTheEdge(options, async (client) => {
    await callWith(client, header("01"));
    const [span] = await eventually(() => {
      assert.equal(ended().length, 1);
      return ended();
    });
    assert.equal(span!.spanContext().traceId, STRANGER.traceId);
    assert.deepEqual(span!.links, []);
  });
});

test("the option does not change what clients send", async () => {
  const { tracerProvider } = traces();
  const received: Context[] = [];
  await atTheEdge({ tracerProvider, textMapPropagator: w3c }, async (client) => {
    const otel = new GrpcOpenTelemetry({
      textMapPropagator: {
        inject: (sent) => void received.push(sent),
        extract: (given) => given,
        fields: () => [],
      },
      publicEndpoint: true,
    });
    otel.instrumentChannel(client.getChannel());
    const caller = propagation.setBaggage(
      trace.setSpanContext(ROOT_CONTEXT, STRANGER),
      propagation.createBaggage({ user: { value: "ada" } }),
    );
    await context.with(caller, () => callWith(client, {}));
    assert.deepEqual(received, [caller]);
  });
});
