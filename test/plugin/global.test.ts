/** Global registration: channels and servers that no application code instruments. */
import * as grpc from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { customLabel, GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GlobalOptions, GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { ATTEMPT_DELAY, CALL_DELAY, countedDelays, FIRST_CALL } from "../support/delays.ts";
import { echoClient, echoHandlers, echoService, listen, readAll, unary } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
import { clientSeries, serverSeries } from "../support/echo-pair.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { heapInUse } from "../support/heap.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

/** What both sides record of `count` calls with the message "hello". */
function hello(count = 1): Record<string, string> {
  const bytes = { sent: 7 * count, received: 7 * count, count };
  return { ...clientSeries("UnaryEcho", "OK", bytes), ...serverSeries("UnaryEcho", "OK", bytes) };
}

/** Channels of several ports share their series. */
const targetAttributeFilter = () => false;

/** A plugin that is registered until the test ends. */
function registered(
  t: TestContext,
  options: Omit<GrpcOpenTelemetryOptions, "meterProvider"> = {},
  globalOptions: GlobalOptions = {},
): { otel: GrpcOpenTelemetry; recording: Recording } {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, ...options });
  otel.registerGlobal(globalOptions);
  t.after(() => {
    try {
      otel.deregisterGlobal();
    } catch {
      // The test has done so.
    }
  });
  return { otel, recording };
}

/** Creates an Echo server that nobody instruments. It is shut down when the test ends. */
function bareServer(t: TestContext, options: grpc.ServerOptions = {}): grpc.Server {
  const server = new grpc.Server(options);
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return server;
}

/** Creates a client that nobody instruments. It is closed when the test ends. */
function bareClient(t: TestContext, port: number, options: grpc.ClientOptions = {}): EchoClient {
  const client = echoClient(`localhost:${port}`, {
    "grpc.use_local_subchannel_pool": 1,
    ...options,
  });
  t.after(() => client.close());
  return client;
}

test("a channel and a server that are created afterwards are recorded", async (t) => {
  const { recording } = registered(t);
  const client = bareClient(t, await listen(bareServer(t)));
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "hello" })), [
    "hello",
    "hello",
    "hello",
  ]);
  await eventuallyEqual(() => recording.series(), {
    ...hello(),
    ...clientSeries("ServerStreamingEcho", "OK", { sent: 7, received: 21 }),
    ...serverSeries("ServerStreamingEcho", "OK", { sent: 21, received: 7 }),
  });
});

for (const channelz of [1, 0]) {
  test(`a channel and a bound server that exist are recorded, with channelz ${channelz}`, async (t) => {
    const options = { "grpc.enable_channelz": channelz };
    const client = bareClient(t, await listen(bareServer(t, options)), options);
    assert.equal(await unary(client, "before"), "before");
    const inFlight = client.BidirectionalStreamingEcho();
    inFlight.write({ message: "a" });
    await once(inFlight, "data");

    const { recording } = registered(t);
    for (let i = 0; i < 3; i++) assert.equal(await unary(client, "hello"), "hello");
    inFlight.write({ message: "b" });
    inFlight.end();
    assert.deepEqual(await readAll(inFlight), ["b"]);
    await eventuallyEqual(() => recording.series(), hello(3));
  });
}

test("the first stream of a bound server is recorded if its method is unknown", async (t) => {
  const port = await listen(bareServer(t));
  const { recording } = registered(t, {}, { targetFilter: () => false });
  const client = bareClient(t, port);
  const none = () => Buffer.alloc(0);
  await new Promise<void>((resolve) => {
    client.makeUnaryRequest("/t.S/Missing", none, none, {}, () => resolve());
  });
  assert.equal(await unary(client, "hello"), "hello");
  await eventuallyEqual(() => recording.series(), {
    ...serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0 }),
    ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  });
});

test("a second registration throws, and so does an unknown one that ends", (t) => {
  const { otel } = registered(t);
  const other = new GrpcOpenTelemetry({});
  assert.throws(
    () => otel.registerGlobal(),
    /^Error: registerGlobal: a plugin is registered already/,
  );
  assert.throws(
    () => other.registerGlobal(),
    /^Error: registerGlobal: a plugin is registered already/,
  );
  assert.throws(() => other.deregisterGlobal(), /^Error: deregisterGlobal: this plugin is not/);
  otel.deregisterGlobal();
  assert.throws(() => otel.deregisterGlobal(), /^Error: deregisterGlobal: this plugin is not/);
});

test("nothing is recorded after the end, and again after a new registration", async (t) => {
  const { otel, recording } = registered(t, { targetAttributeFilter });
  const client = bareClient(t, await listen(bareServer(t)));
  assert.equal(await unary(client, "hello"), "hello");
  const inFlight = client.BidirectionalStreamingEcho();
  inFlight.write({ message: "a" });
  await once(inFlight, "data");
  otel.deregisterGlobal();
  assert.equal(await unary(client, "hello"), "hello");
  const late = bareClient(t, await listen(bareServer(t)));
  assert.equal(await unary(late, "hello"), "hello");
  inFlight.end();
  assert.deepEqual(await readAll(inFlight), []);
  const stream = {
    ...clientSeries("BidirectionalStreamingEcho", "OK", { sent: 3, received: 3 }),
    ...serverSeries("BidirectionalStreamingEcho", "OK", { sent: 3, received: 3 }),
  };
  await eventuallyEqual(() => recording.series(), { ...hello(), ...stream });

  for (let i = 0; i < 3; i++) {
    otel.registerGlobal();
    otel.deregisterGlobal();
  }
  otel.registerGlobal();
  for (const each of [client, late]) assert.equal(await unary(each, "hello"), "hello");
  await eventuallyEqual(() => recording.series(), { ...hello(3), ...stream });
});

test("a channel and a server that are instrumented by hand are recorded once", async (t) => {
  for (const isFirst of [true, false]) {
    const { otel, recording } = registered(t, { targetAttributeFilter });
    const { meterProvider } = recording;
    const another = new GrpcOpenTelemetry({ meterProvider, targetAttributeFilter });
    for (const plugin of [otel, another]) {
      const server = isFirst ? plugin.instrumentServer(bareServer(t)) : bareServer(t);
      const port = await listen(server);
      const client = bareClient(t, port, isFirst ? plugin.clientOptions() : {});
      if (!isFirst) {
        client.getChannel().getConnectivityState(false);
        plugin.instrumentChannel(client.getChannel());
        plugin.instrumentServer(server);
      }
      assert.equal(await unary(client, "hello"), "hello");
      await eventuallyEqual(() => recording.series(), hello(plugin === otel ? 1 : 3));
      if (plugin === another) otel.deregisterGlobal();
      assert.equal(await unary(client, "hello"), "hello");
    }
    await eventuallyEqual(() => recording.series(), hello(4));
  }
});

test("a plugin with another meter provider records channels and servers that are instrumented", async (t) => {
  const { recording } = registered(t);
  const own = new Recording();
  const another = new GrpcOpenTelemetry({ meterProvider: own.meterProvider });
  const port = await listen(another.instrumentServer(bareServer(t)));
  const client = bareClient(t, port, another.clientOptions());
  assert.equal(await unary(client, "hello"), "hello");
  for (const each of [own, recording]) await eventuallyEqual(() => each.series(), hello());
});

test("the handler of a bound server's first stream runs in the context of its call", async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => context.disable());
  const spans = new SpanRecording();
  const active: (string | undefined)[] = [];
  const server = new grpc.Server();
  server.addService(echoService, {
    BidirectionalStreamingEcho(call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>) {
      active.push(trace.getActiveSpan()?.spanContext().spanId);
      call.on("data", () => {});
      call.on("end", () => call.end());
    },
  });
  t.after(() => server.forceShutdown());
  const client = bareClient(t, await listen(server));
  registered(t, { tracerProvider: spans.tracerProvider }, { targetFilter: () => false });
  for (let i = 0; i < 2; i++) {
    const call = client.BidirectionalStreamingEcho();
    call.end();
    assert.deepEqual(await readAll(call), []);
  }
  await eventuallyEqual(() => spans.spans.map((span) => span.spanContext().spanId), active);
});

test("without known private parts, calls are recorded as far as they can be seen", async (t) => {
  const { recording } = registered(t);
  const server = new grpc.Server({ "grpc.enable_channelz": 0 });
  Object.assign(server, { _channelzHandler: undefined });
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const port = await listen(server);
  const channel = new grpc.Channel(`localhost:${port}`, grpc.credentials.createInsecure(), {});
  const { internalChannel } = channel as unknown as { internalChannel: grpc.Channel };
  Object.assign(channel, {
    internalChannel: {
      close: () => internalChannel.close(),
      getTarget: () => internalChannel.getTarget(),
      createCall: (...args: Parameters<grpc.Channel["createCall"]>) =>
        internalChannel.createCall(...args),
    },
  });
  const client = bareClient(t, port, { channelOverride: channel });
  for (let i = 0; i < 2; i++) assert.equal(await unary(client, "hello"), "hello");
  const labels = "{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}";
  await eventuallyEqual(() => recording.series(), {
    [`grpc.client.call.duration${labels}`]: "2",
    "grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}": "2",
    [`grpc.server.call.duration${labels}`]: "2",
  });
});

test("wrappers of others stay in place", async (t) => {
  const { otel } = registered(t);
  const { prototype } = grpc.Channel;
  const ours = prototype.createCall;
  t.after(() => prototype.createCall = ours);
  let calls = 0;
  prototype.createCall = function (...args) {
    calls++;
    return ours.apply(this, args);
  };
  const theirs = prototype.createCall;
  otel.deregisterGlobal();
  const { recording } = registered(t);
  assert.equal(prototype.createCall, theirs);
  const client = bareClient(t, await listen(bareServer(t)));
  assert.equal(await unary(client, "hello"), "hello");
  assert.equal(calls, 1);
  await eventuallyEqual(() => recording.series(), hello());
});

test("closed channels are released", async (t) => {
  registered(t);
  const channels = Array.from({ length: 2000 }, () => {
    const client = echoClient("localhost:1", {});
    client.getChannel().getConnectivityState(false);
    client.close();
    return new WeakRef(client.getChannel());
  });
  await eventually(async () => {
    await heapInUse();
    const kept = channels.filter((channel) => channel.deref() !== undefined);
    assert.ok(kept.length < 200, `${kept.length} channels`);
  }, 30_000);
});

test("connections are recorded while the plugin is registered", async (t) => {
  const metrics = ["succeeded", "failed"].map((end) =>
    `grpc.subchannel.connection_attempts_${end}`
  );
  const open = "grpc.subchannel.open_connections";
  const server = bareServer(t);
  const port = await listen(server);
  const existing = bareClient(t, port);
  assert.equal(await unary(existing, "before"), "before");
  const { otel, recording } = registered(t, {
    enableMetrics: [...metrics, open],
    targetAttributeFilter,
  });
  const connections = async () => {
    const series = await recording.series();
    return [...metrics, open].map((name) => series[`${name}{}`] ?? "0");
  };
  const created = bareClient(t, port);
  for (const client of [existing, created]) assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await connections(), ["2", "0", "2"]);
  otel.deregisterGlobal();
  existing.close();
  assert.equal(await unary(bareClient(t, port), "hello"), "hello");
  assert.deepEqual(await connections(), ["2", "0", "1"]);
  // The channel that is hooked stays inert when it connects again, and when it fails to.
  server.drain(`127.0.0.1:${port}`, 0);
  await eventuallyEqual(connections, ["2", "0", "0"]);
  assert.equal(await unary(created, "hello"), "hello");
  assert.deepEqual(await connections(), ["2", "0", "0"]);
  server.forceShutdown();
  await eventually(async () => assert.equal(await unary(created, "hello"), "UNAVAILABLE"));
  assert.deepEqual(await connections(), ["2", "0", "0"]);
});

test("a call that is in progress is not recorded when it is retried", async (t) => {
  const statuses: (() => void)[] = [];
  const server = new grpc.Server();
  server.addService(echoService, {
    UnaryEcho(_: unknown, reply: grpc.sendUnaryData<EchoMessage>) {
      statuses.push(() => {
        const error = { code: grpc.status.UNAVAILABLE, metadata: new grpc.Metadata() };
        if (statuses.length > 1) reply(null, { message: "hello" });
        else reply(error);
      });
    },
  });
  t.after(() => server.forceShutdown());
  const retryPolicy = {
    maxAttempts: 2,
    initialBackoff: "0.01s",
    maxBackoff: "0.01s",
    backoffMultiplier: 1,
    retryableStatusCodes: ["UNAVAILABLE"],
  };
  const client = bareClient(t, await listen(server), {
    "grpc.service_config": JSON.stringify({ methodConfig: [{ name: [{}], retryPolicy }] }),
  });
  const reply = unary(client, "hello");
  await eventually(() => assert.equal(statuses.length, 1));
  const { recording } = registered(t);
  // The channel is hooked here.
  client.getChannel().getConnectivityState(false);
  statuses[0]!();
  await eventually(() => assert.equal(statuses.length, 2));
  statuses[1]!();
  assert.equal(await reply, "hello");
  await eventuallyEqual(
    () => recording.series(),
    serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  );
});

test("a filter leaves channels out, and a failing one shows them as other", async (t) => {
  const server = bareServer(t);
  const [left, kept, failing] = [await listen(server), await listen(server), await listen(server)];
  const { recording } = registered(t, {}, {
    targetFilter: (target) => {
      if (target.endsWith(`:${failing}`)) throw new Error("a mistake");
      return target === `dns:///localhost:${kept}`;
    },
  });
  for (const port of [left, kept, failing]) {
    assert.equal(await unary(bareClient(t, port), "hello"), "hello");
  }
  assert.deepEqual(
    (await recording.valuesOf("grpc.target")).filter((target) => target !== undefined).sort(),
    [`dns:///localhost:${kept}`, "other"],
  );
});

test("a new registration has its own filter", async (t) => {
  const client = bareClient(t, await listen(bareServer(t)));
  const { otel, recording } = registered(t);
  assert.equal(await unary(client, "hello"), "hello");
  for (const isKept of [false, true]) {
    otel.deregisterGlobal();
    otel.registerGlobal({ targetFilter: () => isKept });
    assert.equal(await unary(client, "hello"), "hello");
  }
  const calls = "grpc.client.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}";
  assert.equal((await recording.series())[calls], "2");
});

test("delays are recorded", async (t) => {
  const port = await listen(bareServer(t));
  const { recording } = registered(t, { enableMetrics: [CALL_DELAY, ATTEMPT_DELAY] });
  assert.equal(await unary(bareClient(t, port), "hello"), "hello");
  assert.deepEqual(await countedDelays({ recording }), FIRST_CALL);
});

test("custom labels of call options are recorded", async (t) => {
  const port = await listen(bareServer(t));
  const existing = bareClient(t, port);
  assert.equal(await unary(existing, "before", customLabel("before")), "before");
  const { recording } = registered(t, { optionalLabels: ["grpc.client.call.custom"] });
  const label = "grpc.client.call.custom";
  const seen: unknown[] = [];
  const created = bareClient(t, port, {
    callInvocationTransformer: (call) => {
      seen.push(call.methodDefinition.path);
      return call;
    },
  });
  for (const [index, client] of [existing, created].entries()) {
    assert.equal(await unary(client, "hello", customLabel(`unary ${index}`)), "hello");
    assert.equal(await unary(client, "hello"), "hello");
    await readAll(client.ServerStreamingEcho({ message: "a" }, customLabel(`stream ${index}`)));
  }
  assert.equal(seen.length, 3);
  assert.deepEqual(
    (await recording.valuesOf(label)).filter((value) => value !== undefined).sort(),
    ["", "stream 0", "stream 1", "unary 0", "unary 1"],
  );
});
