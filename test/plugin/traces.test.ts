import * as grpc from "@grpc/grpc-js";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { SpanContext } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GrpcOpenTelemetry, GrpcTraceBinPropagator } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, readAll, unary } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import type { EchoPair, EchoPairOptions } from "../support/echo-pair.ts";
import { eventually } from "../support/eventually.ts";
import { retrying } from "../support/retrying.ts";
import { events, milliseconds, SpanRecording } from "../support/spans.ts";

const SENT = "Sent.grpc.examples.echo.Echo.";
const ATTEMPT = "Attempt.grpc.examples.echo.Echo.";
const RECV = "Recv.grpc.examples.echo.Echo.";

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
after(() => context.disable());

/** Runs `body` with a traced client and server. The default propagator is the W3C one. */
function traced(
  { plugin, ...options }: EchoPairOptions,
  body: (spans: SpanRecording, pair: EchoPair) => Promise<void>,
): Promise<void> {
  const spans = new SpanRecording();
  const tracing: Omit<GrpcOpenTelemetryOptions, "meterProvider"> = {
    tracerProvider: spans.tracerProvider,
    textMapPropagator: new W3CTraceContextPropagator(),
    ...plugin,
  };
  return withEchoPair({ ...options, plugin: tracing }, (pair) => body(spans, pair));
}

/** Waits until `count` spans have ended. */
async function ended(spans: SpanRecording, count: number): Promise<void> {
  await eventually(() => assert.equal(spans.spans.length, count));
}

for (
  const [what, textMapPropagator] of [
    ["traceparent", new W3CTraceContextPropagator()],
    ["grpc-trace-bin", new GrpcTraceBinPropagator()],
  ] as const
) {
  test(`${what} joins a call, its attempt and the server's call into one trace`, () =>
    traced({ plugin: { textMapPropagator } }, async (spans, { client }) => {
      assert.equal(await unary(client, "hello"), "hello");
      await ended(spans, 3);
      const byName = spans.byName();
      const sent = byName.get(`${SENT}UnaryEcho`)!;
      const attempt = byName.get(`${ATTEMPT}UnaryEcho`)!;
      const received = byName.get(`${RECV}UnaryEcho`)!;

      const { traceId } = sent.spanContext();
      assert.equal(attempt.spanContext().traceId, traceId);
      assert.equal(received.spanContext().traceId, traceId);
      assert.equal(sent.parentSpanContext, undefined);
      assert.equal(attempt.parentSpanContext?.spanId, sent.spanContext().spanId);
      assert.equal(received.parentSpanContext?.spanId, attempt.spanContext().spanId);
      assert.equal(received.parentSpanContext?.isRemote, true);

      assert.deepEqual([sent.kind, attempt.kind, received.kind], [
        SpanKind.CLIENT,
        SpanKind.INTERNAL,
        SpanKind.SERVER,
      ]);
      assert.deepEqual(sent.attributes, {});
      assert.deepEqual(attempt.attributes, {
        "previous-rpc-attempts": 0,
        "transparent-retry": false,
      });
      assert.deepEqual(received.attributes, {});
      for (const span of [sent, attempt, received]) {
        assert.deepEqual(span.status, { code: SpanStatusCode.OK });
        assert.equal(span.instrumentationScope.name, "grpc-js");
      }
      const messages = [
        "Outbound message sequence-number=0 message-size=7",
        "Inbound message sequence-number=0 message-size=7",
      ];
      assert.deepEqual(events(sent), ["Delayed name resolution complete"]);
      assert.deepEqual(events(attempt), [
        messages[0],
        "Delayed LB pick complete",
        messages[1],
      ]);
      assert.deepEqual(events(received), messages.toReversed());
    }));
}

test("a call on a connected channel has no delay events", () =>
  traced({}, async (spans, { client }) => {
    await unary(client, "first");
    await unary(client, "second");
    await ended(spans, 6);
    const delays = spans.spans.flatMap(events).filter((event) => event.startsWith("Delayed"));
    assert.deepEqual(delays.sort(), [
      "Delayed LB pick complete",
      "Delayed name resolution complete",
    ]);
  }));

test("several plugins on one channel each have the delay events of a call", async () => {
  const recordings = [new SpanRecording(), new SpanRecording(), new SpanRecording()];
  let options: grpc.ClientOptions = {};
  for (const { tracerProvider } of recordings) {
    options = new GrpcOpenTelemetry({ tracerProvider }).clientOptions(options);
  }
  await withEchoPair({}, async ({ port }) => {
    const client = echoClient(`localhost:${port}`, options);
    assert.equal(await unary(client, "hello"), "hello");
    client.close();
  });
  for (const spans of recordings) {
    await ended(spans, 2);
    assert.deepEqual(
      spans.spans.flatMap(events).filter((event) => event.startsWith("Delayed")).sort(),
      ["Delayed LB pick complete", "Delayed name resolution complete"],
    );
  }
});

test("the messages of a stream are numbered from 0 in each direction", () =>
  traced({}, async (spans, { client }) => {
    const stream = client.BidirectionalStreamingEcho();
    const replies = readAll(stream);
    for (const message of ["a", "bb"]) stream.write({ message });
    stream.end();
    assert.deepEqual(await replies, ["a", "bb"]);
    await ended(spans, 3);
    const byName = spans.byName();
    for (
      const name of [`${ATTEMPT}BidirectionalStreamingEcho`, `${RECV}BidirectionalStreamingEcho`]
    ) {
      assert.deepEqual(
        events(byName.get(name)).filter((event) => event.includes("message ")).sort(),
        [
          "Inbound message sequence-number=0 message-size=3",
          "Inbound message sequence-number=1 message-size=4",
          "Outbound message sequence-number=0 message-size=3",
          "Outbound message sequence-number=1 message-size=4",
        ],
      );
    }
  }));

for (const [encoding, algorithm] of [["gzip", 2], ["deflate", 1]] as const) {
  // grpc-js servers do not compress, so only the client does.
  test(`a message compressed with ${encoding} has its compressed size`, () =>
    traced(
      { client: { "grpc.default_compression_algorithm": algorithm } },
      async (spans, { client, recording }) => {
        const text = "compress me ".repeat(500);
        assert.equal(await unary(client, text), text);
        await ended(spans, 3);
        const recorded = Object.entries(await recording.series())
          .find(([name]) => name.startsWith("grpc.client.attempt.sent_total"))![1];
        const compressed = /^1 \((\d+)\)$/.exec(recorded)![1];
        // Only a gzip stream contains the size before compression.
        const size = encoding === "gzip" ? `message-size=${text.length + 3} ` : "";
        const sizes = `sequence-number=0 ${size}message-size-compressed=${compressed}`;
        const byName = spans.byName();
        const sent = events(byName.get(`${ATTEMPT}UnaryEcho`));
        const received = events(byName.get(`${RECV}UnaryEcho`));
        assert.equal(sent.find((event) => event.startsWith("Outb")), `Outbound message ${sizes}`);
        assert.equal(received.find((event) => event.startsWith("Inb")), `Inbound message ${sizes}`);
      },
    ));
}

test("the spans of a failed call have the status and its message", () =>
  traced({}, async (spans, { client }) => {
    assert.equal(await unary(client, "status 9"), "FAILED_PRECONDITION");
    await ended(spans, 3);
    for (const span of spans.spans) {
      assert.deepEqual(span.status, {
        code: SpanStatusCode.ERROR,
        message: "FAILED_PRECONDITION, status 9",
      });
    }
  }));

test("a status message that is not ASCII is decoded", () =>
  traced({
    handlers: {
      UnaryEcho: (
        _: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
        reply: grpc.sendUnaryData<EchoMessage>,
      ) => reply({ code: grpc.status.ABORTED, details: "größer als 100 %" }),
    },
  }, async (spans, { client }) => {
    assert.equal(await unary(client, "hello"), "ABORTED");
    await ended(spans, 3);
    for (const span of spans.spans) {
      assert.equal(span.status.message, "ABORTED, größer als 100 %");
    }
  }));

test("a cancelled call ends all its spans", () =>
  traced({}, async (spans, { client, recording }) => {
    const call = client.UnaryEcho({ message: "hang" }, {}, () => {});
    await eventually(async () => {
      const series = await recording.series();
      assert.equal(
        series["grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}"],
        "1",
      );
    });
    call.cancel();
    await ended(spans, 3);
    for (const span of spans.spans) {
      assert.equal(span.status.code, SpanStatusCode.ERROR);
      assert.match(span.status.message!, /^CANCELLED/);
    }
  }));

test("retries are numbered attempts of one call", () => {
  let failures = 2;
  return traced({
    client: retrying(3),
    handlers: {
      UnaryEcho: (
        call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
        reply: grpc.sendUnaryData<EchoMessage>,
      ) =>
        failures-- > 0
          ? reply({ code: grpc.status.UNAVAILABLE, details: "not yet" })
          : reply(null, call.request),
    },
  }, async (spans, { client }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await ended(spans, 7);
    const attempts = spans.spans.filter(({ name }) => name === `${ATTEMPT}UnaryEcho`);
    const received = spans.spans.filter(({ name }) => name === `${RECV}UnaryEcho`);
    assert.deepEqual(
      attempts.map((
        { attributes, status },
      ) => [attributes["previous-rpc-attempts"], status.message]),
      [[0, "UNAVAILABLE, not yet"], [1, "UNAVAILABLE, not yet"], [2, undefined]],
    );
    assert.deepEqual(
      received.map((span) => span.parentSpanContext?.spanId).sort(),
      attempts.map((span) => span.spanContext().spanId).sort(),
    );
    assert.deepEqual(
      events(attempts[2]).filter((event) => event.startsWith("Outbound")),
      ["Outbound message sequence-number=0 message-size=7"],
    );
  });
});

test("the parent of a call is the span of the active context", () =>
  traced({}, async (spans, { client }) => {
    const tracer = spans.tracerProvider.getTracer("application");
    await tracer.startActiveSpan("work", async (span) => {
      assert.equal(await unary(client, "hello"), "hello");
      span.end();
    });
    await ended(spans, 4);
    const byName = spans.byName();
    const work = byName.get("work")!.spanContext();
    const sent = byName.get(`${SENT}UnaryEcho`)!;
    assert.equal(sent.parentSpanContext?.spanId, work.spanId);
    assert.equal(byName.get(`${RECV}UnaryEcho`)!.spanContext().traceId, work.traceId);
  }));

test("a handler of any kind of call runs in the context of the server's span", () => {
  const seen: Record<string, SpanContext | undefined> = {};
  const note = (method: string) => seen[method] = trace.getActiveSpan()?.spanContext();
  const handlers = Object.fromEntries(
    Object.entries(echoHandlers).map(([method, handler]) => [
      method,
      (call: { on(event: string, listener: () => void): void }, reply: unknown) => {
        note(method);
        if (/ClientStreaming|Bidi/.test(method)) call.on("data", () => note(`${method} data`));
        (handler as (call: unknown, reply: unknown) => void)(call, reply);
      },
    ]),
  ) as grpc.UntypedServiceImplementation;
  return traced({ handlers }, async (spans, { client }) => {
    await unary(client, "hello");
    await readAll(client.ServerStreamingEcho({ message: "x" }));
    const bidi = client.BidirectionalStreamingEcho();
    bidi.end({ message: "x" });
    await readAll(bidi);
    await new Promise((resolve) => client.ClientStreamingEcho(resolve).end({ message: "x" }));
    await ended(spans, 12);
    const byName = spans.byName();
    assert.equal(Object.keys(seen).length, 6);
    for (const [where, spanContext] of Object.entries(seen)) {
      const method = where.split(" ")[0]!;
      assert.equal(spanContext?.spanId, byName.get(RECV + method)!.spanContext().spanId, where);
    }
  });
});

test("a server interceptor is created in the context of the server's span", () => {
  let seen: SpanContext | undefined;
  const interceptor: grpc.ServerInterceptor = (_, call) => {
    seen = trace.getActiveSpan()?.spanContext();
    return new grpc.ServerInterceptingCall(call);
  };
  return traced({ server: { interceptors: [interceptor] } }, async (spans, { client }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await ended(spans, 3);
    assert.equal(seen?.spanId, spans.byName().get(`${RECV}UnaryEcho`)!.spanContext().spanId);
  });
});

test("spans are not joined without a propagator", () => {
  const spans = new SpanRecording();
  return withEchoPair({ plugin: { tracerProvider: spans.tracerProvider } }, async ({ client }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await ended(spans, 3);
    const received = spans.byName().get(`${RECV}UnaryEcho`)!;
    assert.equal(received.parentSpanContext, undefined);
  });
});

test("a plugin with only a tracer provider starts all spans", async () => {
  const spans = new SpanRecording();
  await withEchoPair({}, async ({ port }) => {
    const otel = new GrpcOpenTelemetry({ tracerProvider: spans.tracerProvider });
    const client = echoClient(`localhost:${port}`, otel.clientOptions());
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual([...spans.byName().keys()].sort(), [
      `${ATTEMPT}UnaryEcho`,
      `${SENT}UnaryEcho`,
    ]);
    client.close();
  });
});

test("the spans of unregistered methods share one name on the server", () =>
  traced({}, async (spans, { client }) => {
    const paths = ["/no.Such/Method", "/x/1", `/x/${"y".repeat(2000)}`];
    for (const path of paths) {
      const code = await new Promise((resolve) =>
        client.makeUnaryRequest(
          path,
          () => Buffer.alloc(0),
          (bytes) => bytes,
          {},
          (error) => resolve(error?.code),
        )
      );
      assert.equal(code, grpc.status.UNIMPLEMENTED);
    }
    await ended(spans, 9);
    const received = spans.spans.filter(({ kind }) => kind === SpanKind.SERVER);
    assert.deepEqual(received.map(({ name }) => name), Array(3).fill("Recv.other"));
    // The names on a client are those of its own program.
    assert.ok(spans.spans.some(({ name }) => name === "Sent.no.Such.Method"));
  }));

test("a long status message is cut between characters", () =>
  traced(
    {
      handlers: {
        UnaryEcho: (_: unknown, reply: grpc.sendUnaryData<EchoMessage>) =>
          reply({ code: grpc.status.ABORTED, details: "x".repeat(16_383) + "\u{1f600}".repeat(9) }),
      },
    },
    async (spans, { client }) => {
      assert.equal(await unary(client, "hello"), "ABORTED");
      await ended(spans, 3);
      const shown = "x".repeat(16_383) + "\ufffd";
      for (const { name, status } of spans.spans) {
        assert.equal(status.message, `ABORTED, ${shown}`, name);
      }
    },
  ));

test("a span has the duration that the metrics record", () =>
  traced({}, async (spans, { client, recording }) => {
    await unary(client, "hello");
    await ended(spans, 3);
    const received = spans.byName().get(`${RECV}UnaryEcho`)!;
    const duration = (await recording.metrics())
      .find(({ descriptor }) => descriptor.name === "grpc.server.call.duration")!;
    const { sum } = duration.dataPoints[0]!.value as { sum: number };
    const difference = milliseconds(received.duration) - sum * 1000;
    assert.ok(Math.abs(difference) < 50, `${difference} ms`);
  }));

test("malformed trace headers are ignored", () =>
  traced(
    { plugin: { textMapPropagator: new GrpcTraceBinPropagator() } },
    async (spans, { port }) => {
      const plain = echoClient(`localhost:${port}`, {});
      const values = ["", "AA", Buffer.alloc(29).toString("base64"), "%%%", "A".repeat(5000)];
      for (const value of values) {
        const metadata = new grpc.Metadata();
        metadata.set("grpc-trace-bin", Buffer.from(value, "base64"));
        const reply = await new Promise((resolve) =>
          plain.makeUnaryRequest(
            "/grpc.examples.echo.Echo/UnaryEcho",
            () => Buffer.from([10, 1, 120]),
            (bytes: Buffer) => bytes.length,
            {},
            metadata,
            (error, length) => resolve(error ?? length),
          )
        );
        assert.equal(reply, 3);
      }
      await ended(spans, values.length);
      for (const span of spans.spans) assert.equal(span.parentSpanContext, undefined);
      plain.close();
    },
  ));
