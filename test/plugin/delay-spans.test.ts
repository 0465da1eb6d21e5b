/** What calls and attempts wait for before anything is sent: the spans of gRFC A121. */
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Tracer } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import {
  ATTEMPT_DELAY,
  CALL_DELAY,
  countedDelays,
  echoServer,
  FIRST_CALL,
  recordedClient,
  startCall,
} from "../support/delays.ts";
import { unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { HeldName } from "../support/held-resolver.ts";
import { freePort } from "../support/ports.ts";
import { events, milliseconds, SpanRecording } from "../support/spans.ts";

const SENT = "Sent.grpc.examples.echo.Echo.UnaryEcho";
const ATTEMPT = "Attempt.grpc.examples.echo.Echo.UnaryEcho";

/** Returns the names of spans in the order of their ends. */
function names({ spans }: SpanRecording): string[] {
  return spans.map(({ name }) => name);
}

/** Returns the delays among spans, in the order of their ends, such as `Call Delay: resolving`. */
function delays({ spans }: SpanRecording): string[] {
  return spans.filter(({ name }) => name.endsWith(" Delay"))
    .map(({ name, attributes }) => `${name}: ${attributes["grpc.delay_type"]}`);
}

/** Checks that a span is within its parent. */
function assertWithin(child: ReadableSpan, parent: ReadableSpan): void {
  assert.equal(child.spanContext().traceId, parent.spanContext().traceId);
  assert.equal(child.parentSpanContext?.spanId, parent.spanContext().spanId);
  assert.ok(milliseconds(child.startTime) >= milliseconds(parent.startTime));
  // The SDK measures from the start, which it rounds to a millisecond.
  assert.ok(milliseconds(child.endTime) <= milliseconds(parent.endTime) + 1);
}

test("each delay has a span under that of its call or attempt", async (t) => {
  const spans = new SpanRecording();
  const port = await echoServer(t);
  const { client, recording } = recordedClient(t, `localhost:${port}`, {
    plugin: { tracerProvider: spans.tracerProvider },
  });
  assert.equal(await unary(client, "hello"), "hello");
  assert.equal(await unary(client, "again"), "again");
  assert.deepEqual(names(spans), ["Call Delay", "Attempt Delay", ATTEMPT, SENT, ATTEMPT, SENT]);
  const [resolving, connecting, attempt, sent] = spans.spans as [
    ReadableSpan,
    ReadableSpan,
    ReadableSpan,
    ReadableSpan,
  ];
  assertWithin(resolving, sent);
  assertWithin(connecting, attempt);
  for (const { kind, status } of [resolving, connecting]) {
    assert.equal(kind, SpanKind.INTERNAL);
    assert.deepEqual(status, { code: SpanStatusCode.UNSET });
  }
  assert.deepEqual(resolving.attributes, { "grpc.delay_type": "resolving" });
  assert.deepEqual(connecting.attributes, { "grpc.delay_type": "connecting" });
  assert.deepEqual(events(resolving), [
    "Delay state transition grpc.delay_type=resolving " +
    `grpc.delay_reason=waiting for name resolution of dns:///localhost:${port}`,
  ]);
  assert.deepEqual(events(connecting), [
    "Delay state transition grpc.delay_type=connecting " +
    "grpc.delay_reason=waiting for a connection",
  ]);
  // The events of gRFC A72 stay.
  assert.deepEqual(events(sent), ["Delayed name resolution complete"]);
  assert.ok(events(attempt).includes("Delayed LB pick complete"));
  // Metrics are recorded in the same way without spans.
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
});

const CHOICES: Readonly<
  Record<string, readonly [options: GrpcOpenTelemetryOptions, delays: readonly string[]]>
> = {
  "delays have no spans by default": [{ enableMetrics: [] }, []],
  "the metric of calls turns on the spans of their delays": [
    { enableMetrics: [CALL_DELAY] },
    ["Call Delay: resolving"],
  ],
  "the metric of attempts turns on the spans of their delays": [
    { enableMetrics: [ATTEMPT_DELAY] },
    ["Attempt Delay: connecting"],
  ],
  "a metric that is disabled turns off its spans": [
    { enableMetrics: [CALL_DELAY, ATTEMPT_DELAY], disableMetrics: [CALL_DELAY] },
    ["Attempt Delay: connecting"],
  ],
  "the metrics turn on spans without a meter provider": [
    { enableMetrics: [CALL_DELAY, ATTEMPT_DELAY], meterProvider: undefined },
    ["Call Delay: resolving", "Attempt Delay: connecting"],
  ],
};

for (const [what, [options, expected]] of Object.entries(CHOICES)) {
  test(what, async (t) => {
    const spans = new SpanRecording();
    const { client } = recordedClient(t, `localhost:${await echoServer(t)}`, {
      plugin: { tracerProvider: spans.tracerProvider, ...options },
    });
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(delays(spans), expected);
    assert.equal(spans.spans.length, expected.length + 2);
  });
}

test("a delay that a deadline ends has a span that ends before that of the call", async (t) => {
  const spans = new SpanRecording();
  const { client } = recordedClient(t, new HeldName("expiring").target, {
    plugin: { tracerProvider: spans.tracerProvider, targetAttributeFilter: () => false },
  });
  const { ended } = startCall(client, { deadline: Date.now() + 50 });
  assert.equal(await ended, "DEADLINE_EXCEEDED");
  assert.deepEqual(names(spans), ["Call Delay", SENT]);
  const [delay, sent] = spans.spans as [ReadableSpan, ReadableSpan];
  assertWithin(delay, sent);
  assert.deepEqual(events(delay), [
    "Delay state transition grpc.delay_type=resolving " +
    "grpc.delay_reason=waiting for name resolution",
  ]);
});

test("a delay that goes on for another reason has an event for each reason", async (t) => {
  const spans = new SpanRecording();
  const name = new HeldName("changing");
  const port = await echoServer(t);
  const { client } = recordedClient(t, name.target, {
    plugin: { tracerProvider: spans.tracerProvider },
  });
  const { ended } = startCall(client, { waitForReady: true });
  name.failWithoutConfig("planned");
  name.resolve(port);
  assert.equal(await ended, "OK");
  assert.deepEqual(delays(spans), ["Call Delay: resolving", "Attempt Delay: connecting"]);
  const prefix = "Delay state transition grpc.delay_type=resolving grpc.delay_reason=";
  assert.deepEqual(events(spans.spans[0]), [
    `${prefix}waiting for name resolution of ${name.target}`,
    `${prefix}planned`,
  ]);
});

test("an attempt that waits for one thing after another has a span for each", async (t) => {
  const spans = new SpanRecording();
  const port = await freePort();
  const { client } = recordedClient(t, `127.0.0.1:${port}`, {
    plugin: { tracerProvider: spans.tracerProvider },
  });
  const { ended } = startCall(client, { waitForReady: true });
  await eventually(() => assert.equal(spans.spans.length, 2));
  await echoServer(t, port);
  assert.equal(await ended, "OK");
  assert.deepEqual(delays(spans), [
    "Call Delay: resolving",
    "Attempt Delay: connecting",
    "Attempt Delay: picker_failing_with_wait_for_ready",
  ]);
  const [, connecting, failing, attempt] = spans.spans as [
    ReadableSpan,
    ReadableSpan,
    ReadableSpan,
    ReadableSpan,
  ];
  assertWithin(connecting, attempt);
  assertWithin(failing, attempt);
  assert.ok(milliseconds(connecting.endTime) <= milliseconds(failing.startTime) + 1);
  // A connection that fails again, for the same reason, is no new event.
  const [event, ...others] = events(failing);
  assert.match(
    event!,
    /^Delay state transition grpc.delay_type=picker_failing_with_wait_for_ready grpc.delay_reason=picker is in transient failure: No connection established/,
  );
  assert.deepEqual(others, []);
});

test("a tracer that fails at the spans of delays costs no call, no other span and no metric", async (t) => {
  const spans = new SpanRecording();
  const tracer = spans.tracerProvider.getTracer("failing");
  const startSpan: Tracer["startSpan"] = (name, ...rest) => {
    if (name.endsWith(" Delay")) throw new Error("planned");
    return tracer.startSpan(name, ...rest);
  };
  const { client, recording } = recordedClient(t, `localhost:${await echoServer(t)}`, {
    plugin: {
      tracerProvider: { getTracer: () => Object.assign(Object.create(tracer), { startSpan }) },
    },
  });
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(names(spans), [ATTEMPT, SENT]);
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
});
