/** Calls that the application leaves out with `methodFilter`, on both sides. */
import * as grpc from "@grpc/grpc-js";
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { echoClient, echoHandlers, echoService, listen, readAll, unary } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
import { clientSeries, serverSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { retrying } from "../support/retrying.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
after(() => context.disable());

const ECHO = "grpc.examples.echo.Echo";
const textMapPropagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
});

/** Returns a filter that refuses some methods, and what it was asked. */
function refusing(...refused: string[]) {
  const asked: string[] = [];
  const methodFilter = (method: string) => {
    asked.push(method);
    return !refused.includes(method);
  };
  return { asked, methodFilter };
}

/** Calls a method that the server may not have. Resolves with the name of the status. */
function callPath(client: grpc.Client, path: string): Promise<string> {
  const none = () => Buffer.alloc(0);
  return new Promise((resolve) =>
    client.makeUnaryRequest(
      path,
      none,
      none,
      {},
      (error) => resolve(grpc.status[error?.code ?? 0]!),
    )
  );
}

async function readBack(client: EchoClient, message: string): Promise<string[] | string> {
  const stream = client.BidirectionalStreamingEcho();
  const replies = readAll(stream);
  stream.write({ message });
  stream.end();
  return await replies;
}

/** Makes a call of each kind. */
async function callAll(client: EchoClient): Promise<void> {
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "x" })), ["x", "x", "x"]);
  assert.deepEqual(await readBack(client, "hello"), ["hello"]);
  await new Promise<void>((resolve) => {
    const call = client.ClientStreamingEcho((error, reply) => {
      assert.equal(error ?? reply?.message, "last");
      resolve();
    });
    call.end({ message: "last" });
  });
}

test("a refused call has no metrics and no spans, whatever its kind", async () => {
  const traces = new SpanRecording();
  const { methodFilter, asked } = refusing(
    `${ECHO}/ServerStreamingEcho`,
    `${ECHO}/ClientStreamingEcho`,
    `${ECHO}/BidirectionalStreamingEcho`,
  );
  const { tracerProvider } = traces;
  await withEchoPair(
    {
      plugin: { enableMetrics: METRIC_NAMES, tracerProvider, textMapPropagator, methodFilter },
      client: retrying(3),
    },
    async ({ client, recording }) => {
      await callAll(client);
      await callAll(client);
      const calls = { sent: 14, received: 14, count: 2 };
      await eventuallyEqual(
        async () =>
          Object.fromEntries(
            Object.entries(await recording.series()).filter(([name]) =>
              !/subchannel|tcp|delay/.test(name)
            ),
          ),
        { ...clientSeries("UnaryEcho", "OK", calls), ...serverSeries("UnaryEcho", "OK", calls) },
      );
      await eventuallyEqual(
        () => traces.spans.map(({ name }) => name).filter((name) => !/Delay/.test(name)).sort(),
        ["Attempt", "Attempt", "Recv", "Recv", "Sent", "Sent"]
          .map((prefix) => `${prefix}.${ECHO}.UnaryEcho`),
      );
      // Each side asks once for each method.
      assert.deepEqual(
        asked.sort(),
        [...Object.values(echoService), ...Object.values(echoService)]
          .map(({ path }) => path.replace("/", "")).sort(),
      );
    },
  );
});

test("refused calls that fail, are retried or are cancelled leave nothing behind", async () => {
  const traces = new SpanRecording();
  let startedSpans = 0;
  const tracer = traces.tracerProvider.getTracer("test");
  const counting = Object.assign(Object.create(tracer) as typeof tracer, {
    startSpan: (...args: Parameters<typeof tracer.startSpan>) => {
      startedSpans++;
      return tracer.startSpan(...args);
    },
  });
  const { methodFilter } = refusing(`${ECHO}/UnaryEcho`);
  await withEchoPair(
    {
      plugin: {
        enableMetrics: METRIC_NAMES.filter((name) => !/subchannel|tcp/.test(name)),
        tracerProvider: { getTracer: () => counting },
        methodFilter,
      },
      client: retrying(2),
    },
    async ({ client, recording }) => {
      assert.equal(await unary(client, "status 14"), "UNAVAILABLE");
      assert.equal(
        await unary(client, "hang", { deadline: Date.now() + 30 }),
        "DEADLINE_EXCEEDED",
      );
      await new Promise<void>((resolve) => {
        const call = client.UnaryEcho({ message: "hang" }, {}, () => resolve());
        setImmediate(() => call.cancel());
      });
      assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "x" })), [
        "x",
        "x",
        "x",
      ]);
      await eventuallyEqual(() => recording.series(), {
        ...clientSeries("ServerStreamingEcho", "OK", { sent: 3, received: 9 }),
        ...serverSeries("ServerStreamingEcho", "OK", { sent: 9, received: 3 }),
      });
      await eventuallyEqual(() => traces.spans.length, 3);
      assert.equal(startedSpans, 3);
    },
  );
});

test("a filter sees unregistered methods of each call and keeps nothing of them", () => {
  const { methodFilter, asked } = refusing("grpc.health.v1.Health/Check");
  return withEchoPair({ plugin: { methodFilter } }, async ({ recording, port }) => {
    const client = new grpc.Client(`localhost:${port}`, grpc.credentials.createInsecure());
    for (const path of ["/grpc.health.v1.Health/Check", "/x/1", "/x/1"]) {
      assert.equal(await callPath(client, path), "UNIMPLEMENTED");
    }
    client.close();
    await eventuallyEqual(
      () => recording.series(),
      serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0, count: 2 }),
    );
    assert.deepEqual(asked, ["grpc.health.v1.Health/Check", "x/1", "x/1"]);
  });
});

test("a filter that throws or returns a promise records all calls, with one warning", async (t) => {
  const warnings: string[] = [];
  const collect = ({ message }: Error) => warnings.push(message);
  process.on("warning", collect);
  t.after(() => process.off("warning", collect));
  const fail = () => {
    throw new Error("no idea");
  };
  const promise = (() => Promise.reject(new Error("later"))) as unknown as () => boolean;
  for (const methodFilter of [fail, promise]) {
    await withEchoPair({ plugin: { methodFilter } }, async ({ client, recording }) => {
      for (let i = 0; i < 2; i++) assert.equal(await unary(client, "hello"), "hello");
      const calls = { sent: 14, received: 14, count: 2 };
      await eventuallyEqual(() => recording.series(), {
        ...clientSeries("UnaryEcho", "OK", calls),
        ...serverSeries("UnaryEcho", "OK", calls),
      });
    });
  }
  await eventuallyEqual(() => warnings, [
    "gRPC calls are recorded, because methodFilter fails: Error: no idea",
  ]);
});

/** A handler that replies with the baggage and the span that it runs in. */
const seen: grpc.handleUnaryCall<EchoMessage, EchoMessage> = (_, reply) => {
  const active = context.active();
  const baggage = propagation.getBaggage(active)?.getEntry("user")?.value;
  reply(null, { message: `${baggage} ${trace.getSpanContext(active)?.spanId}` });
};

for (const withTracer of [true, false]) {
  const what = withTracer ? "with a tracer" : "with a propagator alone";
  test(`a refused call passes its caller's context on to the handler, ${what}`, async () => {
    const traces = new SpanRecording();
    const { methodFilter } = refusing(`${ECHO}/UnaryEcho`);
    const plugin: Omit<GrpcOpenTelemetryOptions, "meterProvider"> = {
      ...(withTracer && { tracerProvider: traces.tracerProvider }),
      textMapPropagator,
      methodFilter,
    };
    await withEchoPair({ plugin, handlers: { UnaryEcho: seen } }, async ({ client }) => {
      const ambient = traces.tracerProvider.getTracer("test").startSpan("ambient");
      const caller = propagation.setBaggage(
        trace.setSpan(context.active(), ambient),
        propagation.createBaggage({ user: { value: "ada" } }),
      );
      const reply = new Promise<string>((resolve) =>
        context.with(
          caller,
          () =>
            client.UnaryEcho({ message: "" }, {}, (error, { message } = { message: "" }) => {
              // The callback runs in the context of the caller, as without the filter.
              assert.equal(trace.getSpan(context.active()), ambient);
              resolve(error?.message ?? message);
            }),
        )
      );
      assert.equal(await reply, `ada ${ambient.spanContext().spanId}`);
      assert.deepEqual(traces.spans, []);
    });
  });
}

test("the handler of a refused call does not run in the context that its server was bound in", async (t) => {
  const traces = new SpanRecording();
  const { methodFilter } = refusing(`${ECHO}/UnaryEcho`);
  const otel = new GrpcOpenTelemetry({ tracerProvider: traces.tracerProvider, methodFilter });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, { ...echoHandlers, UnaryEcho: seen });
  t.after(() => server.forceShutdown());
  const bound = traces.tracerProvider.getTracer("test").startSpan("bound");
  const port = await context.with(
    trace.setSpan(context.active(), bound),
    () => listen(server),
  );
  const client = echoClient(`localhost:${port}`, {});
  t.after(() => client.close());
  assert.equal(await unary(client, "hello"), "undefined undefined");
});

/** A plugin that is registered globally until the test ends. */
function registered(t: TestContext, options: GrpcOpenTelemetryOptions): void {
  const otel = new GrpcOpenTelemetry(options);
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
}

test("a global registration leaves refused calls out, also on a server that is bound", async (t) => {
  const recording = new Recording();
  const traces = new SpanRecording();
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const port = await listen(server);
  const { methodFilter } = refusing(`${ECHO}/UnaryEcho`);
  registered(t, {
    meterProvider: recording.meterProvider,
    tracerProvider: traces.tracerProvider,
    textMapPropagator,
    methodFilter,
  });
  const client = echoClient(`localhost:${port}`, {});
  t.after(() => client.close());
  await callAll(client);
  await eventually(async () => {
    const methods = await recording.valuesOf("grpc.method");
    assert.deepEqual(
      methods.sort(),
      ["BidirectionalStreamingEcho", "ClientStreamingEcho", "ServerStreamingEcho"]
        .map((method) => `${ECHO}/${method}`),
    );
    assert.equal(traces.spans.length, 9);
  });
});

test("another plugin on the same channel and server still records the call", async (t) => {
  const [quiet, full] = [new Recording(), new Recording()];
  const { methodFilter } = refusing(`${ECHO}/UnaryEcho`);
  const plugins = [
    new GrpcOpenTelemetry({ meterProvider: quiet.meterProvider, methodFilter }),
    new GrpcOpenTelemetry({ meterProvider: full.meterProvider }),
  ];
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  for (const otel of plugins) otel.instrumentServer(server);
  const client = echoClient(`localhost:${await listen(server)}`, {});
  t.after(() => client.close());
  for (const otel of plugins) otel.instrumentChannel(client.getChannel());
  assert.equal(await unary(client, "hello"), "hello");
  const bytes = { sent: 7, received: 7 };
  await eventuallyEqual(() => full.series(), {
    ...clientSeries("UnaryEcho", "OK", bytes),
    ...serverSeries("UnaryEcho", "OK", bytes),
  });
  assert.deepEqual(await quiet.series(), {});
});
