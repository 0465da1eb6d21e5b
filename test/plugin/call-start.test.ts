/** When a call's duration and span begin: when the call starts, if it does. */
import * as grpc from "@grpc/grpc-js";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { unary } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import type { EchoPair } from "../support/echo-pair.ts";
import { eventually } from "../support/eventually.ts";
import { milliseconds, SpanRecording } from "../support/spans.ts";

const SENT = "Sent.grpc.examples.echo.Echo.UnaryEcho";

/** Runs `body` with a traced pair whose client has an interceptor. */
function intercepted(
  interceptor: grpc.Interceptor,
  body: (pair: EchoPair, spans: SpanRecording) => Promise<void>,
): Promise<void> {
  const spans = new SpanRecording();
  const plugin: GrpcOpenTelemetryOptions = { tracerProvider: spans.tracerProvider };
  return withEchoPair(
    { plugin, client: { interceptors: [interceptor] } },
    (pair) => body(pair, spans),
  );
}

/** Answers every call by itself. */
const cache: grpc.Interceptor = (options, nextCall) =>
  new grpc.InterceptingCall(nextCall(options), {
    start(_metadata, listener) {
      listener.onReceiveMetadata(new grpc.Metadata());
      listener.onReceiveMessage({ message: "cached" });
      listener.onReceiveStatus({ code: 0, details: "", metadata: new grpc.Metadata() });
    },
    sendMessage() {},
    halfClose() {},
  });

test("a call that an interceptor answers by itself has no span and no metric", () => {
  let started = 0;
  const tracerProvider = new TracerProvider({
    spanProcessors: [{
      onStart: () => void started++,
      onEnd() {},
      async forceFlush() {},
      async shutdown() {},
    }],
  });
  const client = { interceptors: [cache] };
  return withEchoPair({ plugin: { tracerProvider }, client }, async ({ client, recording }) => {
    // grpc-js cancels the first call, which never started, and the deadline of the other one passes.
    await new Promise((resolve) => client.UnaryEcho({ message: "x" }, {}, resolve).cancel());
    assert.equal(await unary(client, "x", { deadline: Date.now() + 10 }), "cached");
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(started, 0);
    assert.deepEqual(await recording.series(), {});
  });
});

test("the duration and the span of a call begin when an interceptor starts it", () => {
  const delayMs = 200;
  const slow: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        setTimeout(() => next(metadata, listener), delayMs);
      },
    });
  return intercepted(slow, async ({ client, recording }, spans) => {
    const createdMs = Date.now();
    assert.equal(await unary(client, "hello"), "hello");
    const sent = spans.spans.find(({ name }) => name === SENT)!;
    // Timers may fire some milliseconds early.
    assert.ok(milliseconds(sent.startTime) - createdMs > delayMs - 10);
    const duration = (await recording.metrics()).find(({ descriptor }) =>
      descriptor.name === "grpc.client.call.duration"
    );
    const { sum } = duration!.dataPoints[0]!.value as { sum: number };
    const answeredMs = Date.now() - createdMs;
    assert.ok(sum * 1000 <= answeredMs - delayMs + 10, `${sum} s of ${answeredMs} ms`);
  });
});

test("a call that starts after it was cancelled ends as cancelled", () => {
  let start = () => {};
  const held: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        start = () => next(metadata, listener);
      },
    });
  return intercepted(held, async ({ client, recording }, spans) => {
    client.UnaryEcho({ message: "x" }, {}, () => {}).cancel();
    start();
    await eventually(() => assert.equal(spans.spans.length, 1));
    assert.match(spans.spans[0]!.status.message!, /^CANCELLED/);
    assert.deepEqual(await recording.series(), {
      "grpc.client.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=CANCELLED}": "1",
    });
  });
});
