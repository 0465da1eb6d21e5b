/** An application callback that throws costs one warning, but no call and no other metric. */
import * as grpc from "@grpc/grpc-js";
import { context, diag, DiagLogLevel, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ContextManager, Meter, Span, TracerProvider } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  TracerProvider as SdkTracerProvider,
} from "@opentelemetry/sdk-trace";
import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { warnOfThrown } from "../../plugin/warning.ts";
import { echoClient, echoHandlers, echoService, listen, readAll, unary } from "../support/echo.ts";
import { clientSeries, serverSeries, withEchoPair } from "../support/echo-pair.ts";
import type { EchoPair } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";
import { THROWN } from "../support/thrown.ts";

const warnings: string[] = [];
const collect = ({ name, message }: Error) => {
  if (name === "GrpcOpenTelemetryWarning") warnings.push(message);
};
process.on("warning", collect);
after(() => process.off("warning", collect));

/** Returns a function that throws the next of the values in `THROWN` at each call. */
function thrower(): () => never {
  const all = Object.values(THROWN);
  let thrown = 0;
  return () => {
    throw all[thrown++ % all.length]!();
  };
}

const CALLS = Object.keys(THROWN).length;

/** Makes enough calls to throw every value. All calls must succeed within their deadline. */
async function callAll({ client }: Pick<EchoPair, "client">): Promise<void> {
  for (let i = 0; i < CALLS; i++) {
    assert.equal(await unary(client, `call ${i}`, { deadline: Date.now() + 5000 }), `call ${i}`);
  }
  const stream = client.ServerStreamingEcho({ message: "x" }, { deadline: Date.now() + 5000 });
  assert.deepEqual(await readAll(stream), ["x", "x", "x"]);
}

const sizes = (method: string) => {
  const bytes = method === "UnaryEcho" ? 8 * CALLS + CALLS - 10 : 3;
  return method === "UnaryEcho"
    ? { sent: bytes, received: bytes, count: CALLS }
    : { sent: bytes, received: 3 * bytes };
};
/** The series that {@link callAll} records. */
const ALL_SERIES = {
  ...clientSeries("UnaryEcho", "OK", sizes("UnaryEcho")),
  ...serverSeries("UnaryEcho", "OK", sizes("UnaryEcho")),
  ...clientSeries("ServerStreamingEcho", "OK", sizes("ServerStreamingEcho")),
  ...serverSeries("ServerStreamingEcho", "OK", { sent: 9, received: 3 }),
};

const SPANS_PER_CALL = 3;

const fail = thrower();
const reject = () => Promise.reject(new Error("rejected"));
const brokenSpan = {
  isRecording: () => true,
  spanContext: fail,
  addEvent: fail,
  setStatus: fail,
  end: fail,
} as unknown as Span;
const processor: SpanProcessor = {
  onStart() {},
  onEnd() {},
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};

const NO_SPANS = "gRPC spans could not be recorded";
const NOT_JOINED = "gRPC spans are not joined, because textMapPropagator fails";

/** Failing callbacks that must not cost a metric. */
const HARMLESS: Readonly<Record<string, Omit<GrpcOpenTelemetryOptions, "meterProvider">>> = {
  "a propagator": {
    tracerProvider: new SpanRecording().tracerProvider,
    textMapPropagator: { inject: fail, extract: fail, fields: fail },
  },
  "a propagator without a context": {
    tracerProvider: new SpanRecording().tracerProvider,
    textMapPropagator: { inject() {}, extract: () => null as never, fields: () => [] },
  },
  "a propagator with rejected promises": {
    tracerProvider: new SpanRecording().tracerProvider,
    textMapPropagator: { inject: reject as never, extract: reject as never, fields: () => [] },
  },
  "a tracer provider": { tracerProvider: { getTracer: fail } },
  "a tracer": {
    tracerProvider: { getTracer: () => ({ startSpan: fail, startActiveSpan: fail }) },
  },
  "a tracer without spans": {
    tracerProvider: { getTracer: () => ({ startSpan() {} }) } as unknown as TracerProvider,
  },
  "a span": {
    tracerProvider: { getTracer: () => ({ startSpan: () => brokenSpan, startActiveSpan: fail }) },
  },
  "a span with rejected promises": {
    tracerProvider: {
      getTracer: () => ({
        startSpan: () => ({ ...brokenSpan, end: reject }) as unknown as Span,
        startActiveSpan: fail,
      }),
    },
  },
  "a sampler": {
    tracerProvider: new SdkTracerProvider({ sampler: { shouldSample: fail, toString: () => "" } }),
  },
  "an id generator": {
    tracerProvider: new SdkTracerProvider({
      idGenerator: { generateSpanId: fail, generateTraceId: fail },
    }),
  },
  "a span processor's onStart": {
    tracerProvider: new SdkTracerProvider({
      spanProcessors: [{ ...processor, onStart: fail }],
    }),
  },
  "a span processor's onEnd": {
    tracerProvider: new SdkTracerProvider({ spanProcessors: [{ ...processor, onEnd: fail }] }),
  },
};

for (const [what, plugin] of Object.entries(HARMLESS)) {
  test(`${what} that fails costs no call and no metric`, () =>
    withEchoPair({ plugin }, async (pair) => {
      await callAll(pair);
      await eventuallyEqual(() => pair.recording.series(), ALL_SERIES);
    }));
}

test("a propagator that fails costs no span", () => {
  const spans = new SpanRecording();
  const { tracerProvider } = spans;
  const textMapPropagator = { inject: fail, extract: fail, fields: fail };
  return withEchoPair({ plugin: { tracerProvider, textMapPropagator } }, async (pair) => {
    await callAll(pair);
    await eventuallyEqual(() => spans.spans.length, SPANS_PER_CALL * (CALLS + 1));
  });
});

test("a diag logger that fails costs no call and no metric", (t) => {
  let isBroken = false;
  const log = () => {
    if (isBroken) fail();
  };
  const logger = { error: log, warn: log, info: log, debug: log, verbose: log };
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  isBroken = true;
  t.after(() => {
    isBroken = false;
    diag.disable();
  });
  // The SDK logs every span that is not recorded.
  const tracerProvider = new SdkTracerProvider({ sampler: new AlwaysOffSampler() });
  return withEchoPair({ plugin: { tracerProvider } }, async (pair) => {
    await callAll(pair);
    await eventuallyEqual(() => pair.recording.series(), ALL_SERIES);
  });
});

test("a context manager that fails costs no call and no metric", (t) => {
  let mode = 0;
  const manager: ContextManager = {
    active: () => mode++ % 2 === 0 ? ROOT_CONTEXT : fail(),
    with(_context, body, thisArg, ...args) {
      // Fails before the body, fails after it, or does not fail.
      if (mode++ % 3 === 0) return fail();
      const result = body.call(thisArg as never, ...args);
      if (mode % 3 === 1) return fail();
      return result;
    },
    bind: (_context, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  };
  context.setGlobalContextManager(manager);
  t.after(() => context.disable());
  const tracerProvider = new SdkTracerProvider({ sampler: new AlwaysOnSampler() });
  return withEchoPair({ plugin: { tracerProvider } }, async (pair) => {
    await callAll(pair);
    await eventuallyEqual(() => pair.recording.series(), ALL_SERIES);
  });
});

test("filters that fail hide values as other and lose no metric", () => {
  const plugin = { methodAttributeFilter: fail, targetAttributeFilter: fail };
  return withEchoPair({ plugin }, async (pair) => {
    await callAll(pair);
    await eventuallyEqual(async () => (await pair.recording.metrics()).length, 9);
    assert.deepEqual(await pair.recording.valuesOf("grpc.method"), ["other"]);
    assert.deepEqual(await pair.recording.valuesOf("grpc.target"), ["other", undefined]);
    const status = "grpc.client.call.duration{method=other,status=OK}";
    await eventuallyEqual(async () => (await pair.recording.series())[status], `${CALLS + 1}`);
  });
});

for (
  const [what, filter] of Object.entries({
    "a promise": () => Promise.resolve(true),
    "a rejected promise": reject,
  })
) {
  test(`filters that return ${what} hide values as other`, () => {
    const plugin = {
      methodAttributeFilter: filter as unknown as () => boolean,
      targetAttributeFilter: filter as unknown as () => boolean,
    };
    return withEchoPair({ plugin }, async (pair) => {
      await callAll(pair);
      await eventuallyEqual(async () => (await pair.recording.metrics()).length, 9);
      assert.deepEqual(await pair.recording.valuesOf("grpc.method"), ["other"]);
      assert.deepEqual(await pair.recording.valuesOf("grpc.target"), ["other", undefined]);
    });
  });
}

/** Failing metric providers. */
const METERS: Readonly<Record<string, () => unknown>> = {
  "a meter provider": fail,
  "a meter": () => ({
    createCounter: fail,
    createUpDownCounter: fail,
    createHistogram: fail,
  }),
  "an instrument": () => ({
    createCounter: () => ({ add: fail }),
    createUpDownCounter: () => ({ add: fail }),
    createHistogram: () => ({ record: fail }),
  }),
  "an instrument with rejected promises": () => ({
    createCounter: () => ({ add: reject }),
    createUpDownCounter: () => ({ add: reject }),
    createHistogram: () => ({ record: reject }),
  }),
  "an instrument that throws at everything": () => {
    const proxy = new Proxy({}, { get: fail, has: fail, getPrototypeOf: fail });
    return {
      createCounter: () => proxy,
      createUpDownCounter: () => proxy,
      createHistogram: () => proxy,
    };
  },
};

for (const [what, getMeter] of Object.entries(METERS)) {
  test(`${what} that fails costs no call and no span`, async (t) => {
    const spans = new SpanRecording();
    const plugin = new GrpcOpenTelemetry({
      meterProvider: { getMeter: getMeter as () => Meter },
      tracerProvider: spans.tracerProvider,
      enableMetrics: [
        "grpc.client.call.retries",
        "grpc.subchannel.open_connections",
        "grpc.client.call.delay.duration",
        "grpc.client.attempt.delay.duration",
      ],
    });
    const server = plugin.instrumentServer(new grpc.Server());
    server.addService(echoService, echoHandlers);
    const client = echoClient(`localhost:${await listen(server)}`, plugin.clientOptions());
    t.after(() => {
      client.close();
      server.forceShutdown();
    });
    await callAll({ client });
    // The first call waits for its name and a connection.
    await eventuallyEqual(() => spans.spans.length, SPANS_PER_CALL * (CALLS + 1) + 2);
  });
}

test("a meter that fails to create one instrument creates the others", async (t) => {
  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({
    meterProvider: {
      getMeter: (...scope) => {
        const meter = recording.meterProvider.getMeter(...scope);
        return Object.assign(Object.create(meter), { createCounter: fail });
      },
    },
  });
  const server = plugin.instrumentServer(new grpc.Server());
  server.addService(echoService, echoHandlers);
  const client = echoClient(`localhost:${await listen(server)}`, plugin.clientOptions());
  t.after(() => {
    client.close();
    server.forceShutdown();
  });
  await callAll({ client });
  const histograms = Object.fromEntries(
    Object.entries(ALL_SERIES).filter(([name]) => !name.includes("started")),
  );
  await eventuallyEqual(() => recording.series(), histograms);
});

test("a view's attribute processor that fails costs only the metrics of that view", () => {
  const recording = new Recording([{
    instrumentName: "grpc.*.duration",
    attributesProcessors: [{ process: fail }],
  }]);
  const { meterProvider } = recording;
  const spans = new SpanRecording();
  const plugin: GrpcOpenTelemetryOptions = { meterProvider, tracerProvider: spans.tracerProvider };
  return withEchoPair({ plugin }, async (pair) => {
    await callAll(pair);
    const others = Object.fromEntries(
      Object.entries(ALL_SERIES).filter(([name]) => !name.includes("duration")),
    );
    await eventuallyEqual(() => recording.series(), others);
    await eventuallyEqual(() => spans.spans.length, SPANS_PER_CALL * (CALLS + 1));
  });
});

test("without a stream handler, an error whose code throws is recorded as UNKNOWN", async (t) => {
  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  const server = new grpc.Server();
  Object.defineProperty(server, "_streamHandler", { value: undefined, writable: true });
  plugin.instrumentServer(server);
  let reads = 0;
  server.addService(echoService, {
    ...echoHandlers,
    UnaryEcho(_call: unknown, reply: grpc.sendUnaryData<unknown>) {
      const error = Object.defineProperty(new Error("planned"), "code", {
        get: () => reads++ === 0 ? fail() : grpc.status.ABORTED,
      });
      reply(error);
    },
  });
  const client = echoClient(`localhost:${await listen(server)}`, {});
  t.after(() => {
    client.close();
    server.forceShutdown();
  });
  assert.equal(await unary(client, "hello", { deadline: Date.now() + 5000 }), "ABORTED");
  const ended =
    "grpc.server.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=UNKNOWN}";
  await eventuallyEqual(async () => (await recording.series())[ended], "1");
});

test("the error of a channel factory reaches the application, and a failing channel is not recorded", async (t) => {
  const plugin = new GrpcOpenTelemetry({ meterProvider: new Recording().meterProvider });
  const refusal = new Error("no channel");
  const refusing = plugin.clientOptions({
    channelFactoryOverride() {
      throw refusal;
    },
  });
  assert.throws(() => echoClient("localhost:1", refusing), refusal);
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  t.after(() => server.forceShutdown());
  const channel = new grpc.Channel(`localhost:${port}`, grpc.credentials.createInsecure(), {});
  channel.getTarget = fail;
  const options = [
    plugin.clientOptions({ channelOverride: channel }),
    plugin.clientOptions({ channelFactoryOverride: () => channel }),
  ];
  for (const option of options) {
    const client = echoClient(`myscheme:localhost:${port}`, option);
    t.after(() => client.close());
    await callAll({ client });
  }
});

test("a warning that cannot be emitted costs only the warning", (t) => {
  const { emitWarning } = process;
  t.after(() => process.emitWarning = emitWarning);
  process.emitWarning = () => {
    throw new Error("planned");
  };
  warnOfThrown("not given", undefined);
});

test("each kind of failure is warned of once, whatever was thrown", async () => {
  const kinds = () => warnings.map((warning) => warning.split(": ")[0]).sort();
  await eventuallyEqual(
    kinds,
    [
      "gRPC metrics could not be recorded",
      'gRPC metrics have the label "other", because methodAttributeFilter fails',
      'gRPC metrics have the label "other", because targetAttributeFilter fails',
      "gRPC server metrics are incomplete",
      "gRPC spans are not active, because the context manager fails",
      NOT_JOINED,
      NO_SPANS,
    ].sort(),
  );
  for (const warning of warnings) assert.match(warning, /^[^\p{Cc}]{1,400}$/u);
});
