/** What calls and attempts wait for before anything is sent: the metrics of gRFC A121. */
import * as grpc from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";
import { test } from "node:test";
import { customLabel, GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { LATENCY_BOUNDS_SECONDS } from "../../plugin/metrics/definitions.ts";
import {
  ATTEMPT_DELAY,
  CALL_DELAY,
  countedDelays,
  echoServer,
  proxyServer,
  recordedClient,
  recordedDelays,
  startCall,
} from "../support/delays.ts";
import type { RecordedClient, RecordedDelays } from "../support/delays.ts";
import { unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { HeldName } from "../support/held-resolver.ts";
import { freePort } from "../support/ports.ts";
import { retrying } from "../support/retrying.ts";
import { Recording } from "../support/series.ts";
import type { HistogramValue } from "../support/series.ts";

const METHOD = "grpc.examples.echo.Echo/UnaryEcho";
const FIRST_CALL = { "call resolving": 1, "attempt connecting": 1 };
/** How long a delay lasts, in milliseconds, if a deadline ends it. */
const HELD_MS = 80;

/** Makes a call that waits until its deadline. */
async function expire(client: EchoClient, waitForReady = false): Promise<void> {
  const { ended } = startCall(client, { waitForReady, deadline: Date.now() + HELD_MS });
  assert.equal(await ended, "DEADLINE_EXCEEDED");
}

/** Checks that delays of one type took about as long as the test made them take. */
function assertTook(
  delays: RecordedDelays | undefined,
  count: number,
  [leastMs, mostMs]: readonly [number, number],
): void {
  assert.equal(delays?.count, count);
  const ms = delays.seconds * 1000;
  // Deadlines are in whole milliseconds, and timers may be early by one.
  assert.ok(ms > leastMs - 3 && ms < mostMs + 3, `${ms} ms, not ${leastMs} to ${mostMs}`);
}

/** The private part of grpc-js that is hooked. */
function internalChannel(client: EchoClient): Record<string, unknown> {
  return (client.getChannel() as unknown as { internalChannel: Record<string, unknown> })
    .internalChannel;
}

async function connect(client: EchoClient): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => error ? reject(error) : resolve());
  });
}

async function leavesReady(client: EchoClient): Promise<void> {
  await eventually(() =>
    assert.notEqual(
      client.getChannel().getConnectivityState(false),
      grpc.connectivityState.READY,
    )
  );
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

test("calls wait until a name is resolved late, or until their deadline", async (t) => {
  const name = new HeldName("late");
  const port = await echoServer(t);
  const recorded = recordedClient(t, name.target);
  const startMs = performance.now();
  const { ended } = startCall(recorded.client);
  await expire(recorded.client);
  assertTook((await recordedDelays(recorded))["call resolving"], 1, [
    HELD_MS,
    performance.now() - startMs,
  ]);
  name.resolve(port);
  const heldMs = performance.now() - startMs;
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), {
    "call resolving": 2,
    "attempt connecting": 1,
  });
  assertTook((await recordedDelays(recorded))["call resolving"], 2, [
    HELD_MS + heldMs,
    2 * (performance.now() - startMs),
  ]);
});

test("a call that is cancelled, or whose channel closes, before the name is resolved has waited", async (t) => {
  const recorded = recordedClient(t, new HeldName("never").target);
  const cancelled = startCall(recorded.client);
  const closed = startCall(recorded.client);
  cancelled.cancel();
  assert.equal(await cancelled.ended, "CANCELLED");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  recorded.client.close();
  assert.equal(await closed.ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2 });
});

test("a call that fails with its name resolution has waited, and one that fails at once has not", async (t) => {
  const name = new HeldName("failing");
  const recorded = recordedClient(t, name.target);
  const { ended } = startCall(recorded.client);
  name.fail("planned");
  assert.equal(await ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  assert.equal(await startCall(recorded.client).ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
});

test("a call that waits for ready waits for one name resolution, whatever fails meanwhile", async (t) => {
  const name = new HeldName("misconfigured");
  const port = await echoServer(t);
  const recorded = recordedClient(t, name.target);
  const { ended } = startCall(recorded.client, { waitForReady: true });
  name.resolveToInvalidConfig("planned");
  // This call finds the failure.
  await expire(recorded.client, true);
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  name.resolveToInvalidConfig("again");
  name.resolve(port);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 1 });
});

/** Whether calls whose name has no address make attempts, which then wait for ready. */
const ATTEMPTS_WITHOUT_ADDRESS = Number(grpcJs.version.split(".")[1]) >= 14;

test("a call that waits for ready waits for a name that has no address", async (t) => {
  const name = new HeldName("empty");
  const port = await echoServer(t);
  const recorded = recordedClient(t, name.target);
  const { ended } = startCall(recorded.client, { waitForReady: true });
  name.fail("planned");
  await expire(recorded.client, true);
  name.resolve(port);
  assert.equal(await ended, "OK");
  assert.deepEqual(
    await countedDelays(recorded),
    ATTEMPTS_WITHOUT_ADDRESS
      ? { ...FIRST_CALL, "attempt picker_failing_with_wait_for_ready": 2 }
      : { "call resolving": 2, "attempt connecting": 1 },
  );
});

test("calls wait until a connection opens late, or until their deadline", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const upstream = await echoServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const startMs = performance.now();
  const { ended } = startCall(recorded.client);
  await expire(recorded.client);
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 1 });
  await eventually(() => assert.equal(proxy.connections.length, 1));
  proxy.forward(proxy.connections[0]!, upstream);
  const heldMs = performance.now() - startMs;
  assert.equal(await ended, "OK");
  const delays = await recordedDelays(recorded);
  const resolvingMs = delays["call resolving"]!.seconds * 1000;
  assert.equal(delays["call resolving"]!.count, 2);
  assertTook(delays["attempt connecting"], 2, [
    HELD_MS + heldMs - resolvingMs,
    2 * (performance.now() - startMs),
  ]);
});

test("an attempt that is cancelled, or whose channel closes, before a connection opens has waited", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const cancelled = startCall(recorded.client);
  const closed = startCall(recorded.client);
  await eventually(() => assert.equal(proxy.connections.length, 1));
  cancelled.cancel();
  assert.equal(await cancelled.ended, "CANCELLED");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 1 });
  recorded.client.close();
  assert.equal(await closed.ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 2 });
});

test("without a server, a call waits until the connection fails, and the next one for nothing", async (t) => {
  const recorded = recordedClient(t, `127.0.0.1:${await freePort()}`, {
    client: {
      "grpc.initial_reconnect_backoff_ms": 60_000,
      "grpc.max_reconnect_backoff_ms": 60_000,
    },
  });
  for (let calls = 0; calls < 2; calls++) {
    assert.equal(await startCall(recorded.client).ended, "UNAVAILABLE");
    assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
  }
});

test("calls that wait for ready wait for a server that comes up late, or until their deadline", async (t) => {
  const port = await freePort();
  const recorded = recordedClient(t, `127.0.0.1:${port}`);
  const startMs = performance.now();
  assert.equal(await startCall(recorded.client).ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
  const failedMs = performance.now();
  const { ended } = startCall(recorded.client, { waitForReady: true });
  await expire(recorded.client, true);
  const failing = "attempt picker_failing_with_wait_for_ready";
  assertTook((await recordedDelays(recorded))[failing], 1, [
    HELD_MS,
    performance.now() - failedMs,
  ]);
  await echoServer(t, port);
  const heldMs = performance.now() - failedMs;
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { ...FIRST_CALL, [failing]: 2 });
  assertTook((await recordedDelays(recorded))[failing], 2, [
    HELD_MS + heldMs,
    2 * (performance.now() - startMs),
  ]);
});

test("an attempt whose connection fails goes on waiting for ready: each type is a delay", async (t) => {
  const port = await freePort();
  const recorded = recordedClient(t, `127.0.0.1:${port}`);
  const { ended } = startCall(recorded.client, { waitForReady: true });
  await eventually(async () => assert.deepEqual(await countedDelays(recorded), FIRST_CALL));
  await echoServer(t, port);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), {
    ...FIRST_CALL,
    "attempt picker_failing_with_wait_for_ready": 1,
  });
});

test("each hedge has its own delay", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const upstream = await echoServer(t);
  const hedgingPolicy = { maxAttempts: 3, hedgingDelay: "0.01s", nonFatalStatusCodes: [] };
  const recorded = recordedClient(t, `localhost:${port}`, {
    client: {
      "grpc.service_config": JSON.stringify({
        loadBalancingConfig: [],
        methodConfig: [{ name: [{}], hedgingPolicy }],
      }),
    },
  });
  const { ended } = startCall(recorded.client);
  await eventually(async () => {
    const started = "grpc.client.attempt.started{method=grpc.examples.echo.Echo/UnaryEcho}";
    assert.equal((await recorded.recording.series())[started], "3");
  });
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  proxy.forward(proxy.connections[0]!, upstream);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1, "attempt connecting": 3 });
});

test("a retry on an open connection waits for nothing", async (t) => {
  const recorded = recordedClient(t, `localhost:${await echoServer(t)}`, { client: retrying(3) });
  assert.equal(await unary(recorded.client, "status 14"), "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
});

test("an attempt whose connection is lost after its pick picks again", async (t) => {
  const { proxy, port } = await proxyServer(t, await echoServer(t));
  const recorded = recordedClient(t, `localhost:${port}`);
  await connect(recorded.client);

  const waiting: (() => void)[] = [];
  const credentials = grpc.credentials.createFromMetadataGenerator((_, done) => {
    waiting.push(() => done(null, new grpc.Metadata()));
  });
  const { ended } = startCall(recorded.client, { credentials });
  await eventually(() => assert.equal(waiting.length, 1));
  assert.deepEqual(await countedDelays(recorded), {});
  for (const connection of proxy.connections) connection.destroy();
  await leavesReady(recorded.client);
  // Call credentials are no delay of gRFC A121, and the lost connection is found after them.
  assert.deepEqual(await countedDelays(recorded), {});
  waiting.pop()!();
  await eventually(() => assert.equal(waiting.length, 1));
  waiting.pop()!();
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), {
    "attempt subchannel_state_mismatch": 1,
    "attempt connecting": 1,
  });
});

test("a call on a channel that was idle waits for a connection only", async (t) => {
  const recorded = recordedClient(t, `localhost:${await echoServer(t)}`, {
    client: { "grpc.client_idle_timeout_ms": 1000 },
  });
  assert.equal(await unary(recorded.client, "hello"), "hello");
  const { IDLE } = grpc.connectivityState;
  await eventually(() =>
    assert.equal(recorded.client.getChannel().getConnectivityState(false), IDLE)
  );
  assert.equal(await unary(recorded.client, "hello"), "hello");
  assert.deepEqual(await countedDelays(recorded), {
    "call resolving": 1,
    "attempt connecting": 2,
  });
});

test("a call that never starts, and one that starts after its end, wait for nothing", async (t) => {
  const recorded = recordedClient(t, new HeldName("unused").target);
  const channel = recorded.client.getChannel();
  const create = () => channel.createCall(`/${METHOD}`, Infinity, null, null, undefined);
  const listener = {
    onReceiveMetadata() {},
    onReceiveMessage() {},
    onReceiveStatus() {},
  };
  create().cancelWithStatus(grpc.status.CANCELLED, "planned");
  const late = create();
  late.cancelWithStatus(grpc.status.CANCELLED, "planned");
  late.start(new grpc.Metadata(), listener);
  assert.deepEqual(await countedDelays(recorded), {});
});

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
  const { port } = await proxyServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const ended = startCall(recorded.client);
  const stream = recorded.client.ServerStreamingEcho({ message: "x" });
  stream.on("error", () => {});
  await eventuallyEqual(() => countedDelays(recorded), { "call resolving": 2 });
  ended.cancel();
  stream.cancel();
  await eventuallyEqual(() => countedDelays(recorded), {
    "call resolving": 2,
    "attempt connecting": 2,
  });
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

test("a plugin that is registered globally records delays", async (t) => {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: [CALL_DELAY, ATTEMPT_DELAY],
  });
  const bare = recordedClient(t, `localhost:${await echoServer(t)}`, {
    plugin: { meterProvider: undefined },
  });
  otel.registerGlobal();
  try {
    assert.equal(await unary(bare.client, "hello"), "hello");
  } finally {
    otel.deregisterGlobal();
  }
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
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
    "gRPC delays of attempts are not recorded",
    "gRPC delays of calls are not recorded",
  ]);
});
