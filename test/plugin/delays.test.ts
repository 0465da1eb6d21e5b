/** What calls and attempts wait for before anything is sent (gRFC A121). */
import * as grpc from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  countedDelays,
  echoServer,
  FIRST_CALL,
  proxyServer,
  recordedClient,
  recordedDelays,
  startCall,
} from "../support/delays.ts";
import type { RecordedClient, RecordedDelays } from "../support/delays.ts";
import { unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { HeldName } from "../support/held-resolver.ts";
import { freePort } from "../support/ports.ts";
import { retrying } from "../support/retrying.ts";

const METHOD = "grpc.examples.echo.Echo/UnaryEcho";
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
  // Timers may be early by a millisecond.
  assert.ok(ms > leastMs - 2 && ms < mostMs + 2, `${ms} ms, not ${leastMs} to ${mostMs}`);
}

/** How long a call waits at least that expires, as it may begin to wait late on a busy machine. */
const EXPIRED_MS = HELD_MS / 2;

async function connect(client: EchoClient): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => error ? reject(error) : resolve());
  });
}

async function startedAttempts({ recording }: RecordedClient, count: number): Promise<void> {
  await eventually(async () => {
    const series = await recording.series();
    assert.equal(series[`grpc.client.attempt.started{method=${METHOD}}`], `${count}`);
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

test("calls wait until a name is resolved late, or until their deadline", async (t) => {
  const name = new HeldName("late");
  const port = await echoServer(t);
  const recorded = recordedClient(t, name.target);
  const startMs = performance.now();
  const { ended } = startCall(recorded.client);
  const waitsMs = performance.now();
  await expire(recorded.client);
  assertTook((await recordedDelays(recorded))["call resolving"], 1, [
    EXPIRED_MS,
    performance.now() - waitsMs,
  ]);
  const heldMs = performance.now() - waitsMs;
  name.resolve(port);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 2, "attempt connecting": 1 });
  assertTook((await recordedDelays(recorded))["call resolving"], 2, [
    EXPIRED_MS + heldMs,
    2 * (performance.now() - startMs),
  ]);
});

test("a call that is cancelled before its name is resolved has waited", async (t) => {
  const recorded = recordedClient(t, new HeldName("never").target);
  const { ended, cancel } = startCall(recorded.client);
  assert.deepEqual(await countedDelays(recorded), {});
  cancel();
  assert.equal(await ended, "CANCELLED");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
});

test("a call whose channel closes before its name is resolved has waited", async (t) => {
  const recorded = recordedClient(t, new HeldName("closed").target);
  const { ended } = startCall(recorded.client);
  recorded.client.close();
  assert.equal(await ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
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
  name.failWithoutConfig("planned");
  // This call finds the failure.
  await expire(recorded.client, true);
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  name.failWithoutConfig("again");
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

test("attempts wait until a connection opens late, or until their deadline", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const upstream = await echoServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const startMs = performance.now();
  const { ended } = startCall(recorded.client);
  await eventually(() => assert.equal(proxy.connections.length, 1));
  const waitsMs = performance.now();
  await expire(recorded.client);
  assertTook((await recordedDelays(recorded))["attempt connecting"], 1, [
    EXPIRED_MS,
    performance.now() - waitsMs,
  ]);
  const heldMs = performance.now() - waitsMs;
  proxy.forward(proxy.connections[0]!, upstream);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1, "attempt connecting": 2 });
  assertTook((await recordedDelays(recorded))["attempt connecting"], 2, [
    EXPIRED_MS + heldMs,
    2 * (performance.now() - startMs),
  ]);
});

test("an attempt that is cancelled before a connection opens has waited", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const { ended, cancel } = startCall(recorded.client);
  await eventually(() => assert.equal(proxy.connections.length, 1));
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1 });
  cancel();
  assert.equal(await ended, "CANCELLED");
  assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
});

test("an attempt whose channel closes before a connection opens has waited", async (t) => {
  const { proxy, port } = await proxyServer(t);
  const recorded = recordedClient(t, `localhost:${port}`);
  const { ended } = startCall(recorded.client);
  await eventually(() => assert.equal(proxy.connections.length, 1));
  recorded.client.close();
  assert.equal(await ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
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
  assert.equal(await startCall(recorded.client).ended, "UNAVAILABLE");
  assert.deepEqual(await countedDelays(recorded), FIRST_CALL);
  const startMs = performance.now();
  const { ended } = startCall(recorded.client, { waitForReady: true });
  await expire(recorded.client, true);
  const failing = "attempt picker_failing_with_wait_for_ready";
  assertTook((await recordedDelays(recorded))[failing], 1, [
    EXPIRED_MS,
    performance.now() - startMs,
  ]);
  await echoServer(t, port);
  assert.equal(await ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { ...FIRST_CALL, [failing]: 2 });
  assertTook((await recordedDelays(recorded))[failing], 2, [
    2 * EXPIRED_MS,
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
  await startedAttempts(recorded, 3);
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

test("on a channel that was idle, the attempt waits for the addresses", async (t) => {
  const name = new HeldName("idle");
  const port = await echoServer(t);
  const recorded = recordedClient(t, name.target, {
    client: { "grpc.client_idle_timeout_ms": 1000 },
  });
  const first = startCall(recorded.client);
  name.resolve(port);
  assert.equal(await first.ended, "OK");
  const { IDLE } = grpc.connectivityState;
  await eventually(() =>
    assert.equal(recorded.client.getChannel().getConnectivityState(false), IDLE)
  );
  // The channel still has the configuration of its calls.
  const second = startCall(recorded.client);
  await startedAttempts(recorded, 2);
  name.resolve(port);
  assert.equal(await second.ended, "OK");
  assert.deepEqual(await countedDelays(recorded), { "call resolving": 1, "attempt connecting": 2 });
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
