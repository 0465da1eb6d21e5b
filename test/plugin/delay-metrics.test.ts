/** The metrics of gRFC A121: their labels, and how they are turned on. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { customLabel, GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { Delays, DelaySeries } from "../../plugin/client/delays.ts";
import { hookPicks } from "../../plugin/client/pick-hooks.ts";
import { LATENCY_BOUNDS_SECONDS } from "../../plugin/metrics/definitions.ts";
import {
  ATTEMPT_DELAY,
  CALL_DELAY,
  countedDelays,
  echoServer,
  FIRST_CALL,
  recordedClient,
  recordedDelays,
} from "../support/delays.ts";
import type { RecordedClient } from "../support/delays.ts";
import { readAll, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import type { HistogramValue } from "../support/series.ts";

const METHOD = "grpc.examples.echo.Echo/UnaryEcho";

/** The private part of grpc-js that is hooked. */
function internalChannel(client: EchoClient): Record<string, unknown> {
  return (client.getChannel() as unknown as { internalChannel: Record<string, unknown> })
    .internalChannel;
}

test("the first call waits for its name and a connection, and later calls for nothing", async (t) => {
  const target = `localhost:${await echoServer(t)}`;
  const { client, recording } = recordedClient(t, target);
  const startMs = performance.now();
  assert.equal(await unary(client, "hello"), "hello");
  const ms = performance.now() - startMs;
  assert.equal(await unary(client, "again"), "again");
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
  for (const { seconds } of Object.values(await recordedDelays({ recording }))) {
    assert.ok(seconds > 0 && seconds * 1000 < ms, `${seconds} s`);
  }

  const metrics = (await recording.metrics())
    .filter(({ descriptor: { name } }) => name === CALL_DELAY || name === ATTEMPT_DELAY)
    .map(({ descriptor: { name, unit, description }, dataPoints }) => {
      assert.equal(dataPoints.length, 1);
      const { attributes, value } = dataPoints[0]!;
      assert.deepEqual(
        (value as HistogramValue).buckets.boundaries,
        LATENCY_BOUNDS_SECONDS,
      );
      return { name, unit, description, attributes };
    });
  assert.deepEqual(metrics, [
    {
      name: CALL_DELAY,
      unit: "s",
      description: "EXPERIMENTAL. Time an RPC spent waiting at the call level before an attempt " +
        "was initiated, such as waiting for name resolution.",
      attributes: { "grpc.target": `dns:///${target}`, "grpc.delay_type": "resolving" },
    },
    {
      name: ATTEMPT_DELAY,
      unit: "s",
      description: "EXPERIMENTAL. Time an RPC attempt spent waiting for a load balancing pick or " +
        "connection establishment.",
      attributes: { "grpc.target": `dns:///${target}`, "grpc.delay_type": "connecting" },
    },
  ]);
});

for (
  const [what, enableMetrics, expected] of [
    ["no delay is recorded by default", [], {}],
    ["the delays of calls are recorded alone", [CALL_DELAY], { "call resolving": 1 }],
    ["the delays of attempts are recorded alone", [ATTEMPT_DELAY], { "attempt connecting": 1 }],
  ] as const
) {
  test(`${what}, and only what is recorded is hooked`, async (t) => {
    const port = await echoServer(t);
    const { client, recording } = recordedClient(t, `localhost:${port}`, {
      plugin: { enableMetrics },
    });
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(await countedDelays({ recording }), expected);
    const channel = internalChannel(client);
    assert.equal(Object.hasOwn(channel, "queueCallForConfig"), "call resolving" in expected);
    assert.equal(Object.hasOwn(channel, "doPick"), "attempt connecting" in expected);
  });
}

/** Returns the labels of both metrics, without the type, which must be the same. */
async function labelsOf({ recording }: RecordedClient): Promise<Record<string, unknown>> {
  const all = (await recording.metrics())
    .filter(({ descriptor: { name } }) => name === CALL_DELAY || name === ATTEMPT_DELAY)
    .flatMap(({ dataPoints }) =>
      dataPoints.map(({ attributes: { "grpc.delay_type": _, ...labels } }) => labels)
    );
  assert.equal(all.length, 2);
  assert.deepEqual(all[0], all[1]);
  return all[0]!;
}

test("the method and a custom label are optional labels of delays", async (t) => {
  const target = `localhost:${await echoServer(t)}`;
  const recorded = recordedClient(t, target, {
    plugin: {
      optionalLabels: ["grpc.method", "grpc.client.call.custom", "grpc.lb.locality"],
    },
  });
  assert.equal(await unary(recorded.client, "hello", customLabel("checkout")), "hello");
  assert.deepEqual(await labelsOf(recorded), {
    "grpc.method": METHOD,
    "grpc.target": `dns:///${target}`,
    "grpc.client.call.custom": "checkout",
  });
  assert.deepEqual(await recorded.recording.valuesOf("grpc.method"), [METHOD]);
});

test("filters hide the method and the target of delays", async (t) => {
  const recorded = recordedClient(t, `localhost:${await echoServer(t)}`, {
    plugin: {
      optionalLabels: ["grpc.method"],
      methodAttributeFilter: () => false,
      targetAttributeFilter: () => false,
    },
  });
  assert.equal(await unary(recorded.client, "hello"), "hello");
  assert.deepEqual(await labelsOf(recorded), { "grpc.method": "other", "grpc.target": "other" });
});

test("without the label of the method, methods share their series", async (t) => {
  const recorded = recordedClient(t, `localhost:${await echoServer(t)}`);
  const replies = [
    unary(recorded.client, "x"),
    readAll(recorded.client.ServerStreamingEcho({ message: "x" })),
  ];
  assert.deepEqual(await Promise.all(replies), ["x", ["x", "x", "x"]]);
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 2 });
  assert.equal((await labelsOf(recorded))["grpc.method"], undefined);
});

test("each plugin on a channel records the delays that it turns on", async (t) => {
  const port = await echoServer(t);
  const plugins = [[CALL_DELAY, ATTEMPT_DELAY], [ATTEMPT_DELAY], [], [CALL_DELAY]]
    .map((enableMetrics) => ({ enableMetrics, recording: new Recording() }));
  const { client, recording } = recordedClient(t, `localhost:${port}`);
  for (const { enableMetrics, recording: { meterProvider } } of plugins) {
    new GrpcOpenTelemetry({ meterProvider, enableMetrics }).instrumentChannel(client.getChannel());
  }
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
  const { "call resolving": call, "attempt connecting": attempt } = FIRST_CALL;
  assert.deepEqual(await Promise.all(plugins.map(countedDelays)), [
    FIRST_CALL,
    { "attempt connecting": attempt },
    {},
    { "call resolving": call },
  ]);
});

test("what has ended waits for nothing more", async () => {
  const recording = new Recording();
  const histogram = recording.meterProvider.getMeter("test").createHistogram(CALL_DELAY);
  const delays = new Delays(new DelaySeries(histogram, {}), undefined, undefined);
  delays.begin("resolving", "planned");
  delays.close();
  delays.begin("resolving", "planned");
  delays.close();
  assert.deepEqual(await countedDelays({ recording }), { "call resolving": 1 });
});

test("a pick during the pick of another attempt is its own", async () => {
  const recording = new Recording();
  const histogram = recording.meterProvider.getMeter("test").createHistogram(ATTEMPT_DELAY);
  const { COMPLETE, QUEUE } = grpc.experimental.PickResultType;
  let isOuter = true;
  const channel = {
    doPick(): object {
      if (!isOuter) return { pickResultType: QUEUE };
      isOuter = false;
      // As if the load balancer changed the picker, and a call that is not recorded picked again.
      channel.doPick();
      return { pickResultType: COMPLETE };
    },
  };
  const watchPicks = hookPicks(channel);
  const attempt = { doPick: () => void channel.doPick() };
  const delays = new Delays(new DelaySeries(histogram, {}), undefined, undefined);
  watchPicks?.(attempt, { delays, routed() {} });
  attempt.doPick();
  assert.deepEqual(await countedDelays({ recording }), {});
  delays.close();
  assert.deepEqual(await countedDelays({ recording }), {});
});

test("without the known private parts, calls go on and delays are not recorded, with warnings", async (t) => {
  const port = await echoServer(t);
  const warnings: string[] = [];
  const collect = ({ message }: Error) => warnings.push(message.split(":")[0]!);
  process.on("warning", collect);
  t.after(() => process.off("warning", collect));
  const recorded = recordedClient(t, `localhost:${port}`, {
    client: {
      channelFactoryOverride(...args) {
        const channel = new grpc.Channel(...args);
        // Hidden only while the plugin looks at them.
        const { internalChannel } = channel as unknown as { internalChannel: object };
        const hidden = { value: undefined, configurable: true };
        Object.defineProperties(internalChannel, { doPick: hidden, queueCallForConfig: hidden });
        queueMicrotask(() => {
          Reflect.deleteProperty(internalChannel, "doPick");
          Reflect.deleteProperty(internalChannel, "queueCallForConfig");
        });
        return channel;
      },
    },
  });
  await Promise.resolve();
  assert.equal(await unary(recorded.client, "hello"), "hello");
  assert.deepEqual(await countedDelays(recorded), {});
  await eventuallyEqual(() => warnings.sort(), [
    "gRPC delays of attempts and load balancer labels are not recorded",
    "gRPC delays of calls are not recorded",
  ]);
});
