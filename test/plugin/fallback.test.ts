import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, readAll, unary } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { clientSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

/** Collects the warnings of this process from now on, up to their first colon. */
function collectWarnings(): { readonly warnings: string[]; stop(): void } {
  const warnings: string[] = [];
  const collect = ({ message }: Error) => warnings.push(message.split(":")[0] ?? "");
  process.on("warning", collect);
  return { warnings, stop: () => process.off("warning", collect) };
}

/** Creates a channel without the private parts that the plugin hooks. */
const opaqueChannel: NonNullable<grpc.ClientOptions["channelFactoryOverride"]> = (...args) => {
  const channel = new grpc.Channel(...args);
  return {
    close: () => channel.close(),
    getTarget: () => channel.getTarget(),
    getConnectivityState: (connect) => channel.getConnectivityState(connect),
    watchConnectivityState: (...watch) => channel.watchConnectivityState(...watch),
    getChannelzRef: () => channel.getChannelzRef(),
    createCall: (...call) => channel.createCall(...call),
  };
};

test("without an internal channel, calls are recorded, with one warning", (t) =>
  withEchoPair({}, async ({ port }) => {
    const { warnings, stop } = collectWarnings();
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({
      meterProvider: recording.meterProvider,
      enableMetrics: ["grpc.subchannel.open_connections"],
    });
    const client = echoClient(
      `localhost:${port}`,
      otel.clientOptions({ channelFactoryOverride: opaqueChannel }),
    );
    t.after(() => client.close());
    assert.equal(await unary(client, "hello"), "hello");
    assert.equal(await unary(client, "status 9"), "FAILED_PRECONDITION");
    assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "x" })), ["x", "x", "x"]);
    const call = "grpc.client.call.duration{method=grpc.examples.echo.Echo";
    assert.deepEqual(await recording.series(), {
      [`${call}/UnaryEcho,status=OK}`]: "1",
      [`${call}/UnaryEcho,status=FAILED_PRECONDITION}`]: "1",
      [`${call}/ServerStreamingEcho,status=OK}`]: "1",
    });
    await eventuallyEqual(() => warnings, [
      "gRPC client metrics are incomplete",
      "gRPC subchannel metrics are off",
    ]);
    stop();
  }));

test("without an internal channel, cancelled and expired calls and their spans are recorded", (t) =>
  withEchoPair({}, async ({ port, recording: served }) => {
    const recording = new Recording();
    const traces = new SpanRecording();
    const otel = new GrpcOpenTelemetry({
      meterProvider: recording.meterProvider,
      tracerProvider: traces.tracerProvider,
    });
    const client = echoClient(
      `localhost:${port}`,
      otel.clientOptions({ channelFactoryOverride: opaqueChannel }),
    );
    t.after(() => client.close());
    assert.equal(await unary(client, "hang", { deadline: Date.now() + 50 }), "DEADLINE_EXCEEDED");
    const cancelled = new Promise<number | undefined>((resolve) => {
      const call = client.UnaryEcho({ message: "hang" }, {}, (error) => resolve(error?.code));
      const started = "grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}";
      void eventuallyEqual(async () => (await served.series())[started], "2")
        .then(() => call.cancel());
    });
    assert.equal(await cancelled, grpc.status.CANCELLED);
    const call = "grpc.client.call.duration{method=grpc.examples.echo.Echo/UnaryEcho";
    assert.deepEqual(await recording.series(), {
      [`${call},status=DEADLINE_EXCEEDED}`]: "1",
      [`${call},status=CANCELLED}`]: "1",
    });
    const span = "Sent.grpc.examples.echo.Echo.UnaryEcho";
    assert.deepEqual(traces.spans.map(({ name }) => name), [span, span]);
  }));

test("a call without addStatusWatcher goes on, with one warning, and its attempts are recorded", (t) =>
  withEchoPair({}, async ({ port }) => {
    const { warnings, stop } = collectWarnings();
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
    const client = echoClient(
      `localhost:${port}`,
      otel.clientOptions({
        channelFactoryOverride(...args) {
          const channel = new grpc.Channel(...args);
          const { internalChannel } = channel as unknown as { internalChannel: grpc.Channel };
          const createCall = internalChannel.createCall.bind(internalChannel);
          internalChannel.createCall = (...call) =>
            Object.assign(createCall(...call), { addStatusWatcher: undefined });
          return channel;
        },
      }),
    );
    t.after(() => client.close());
    assert.equal(await unary(client, "hello"), "hello");
    assert.equal(await unary(client, "again"), "again");
    const {
      "grpc.client.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}": _,
      ...attempts
    } = clientSeries("UnaryEcho", "OK", { sent: 14, received: 14, count: 2 });
    assert.deepEqual(await recording.series(), attempts);
    await eventuallyEqual(() => warnings, ["gRPC metrics could not be recorded"]);
    stop();
  }));

test("without a stream handler, calls of registered methods are recorded, with one warning", async (t) => {
  const { warnings, stop } = collectWarnings();
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  const server = new grpc.Server();
  // grpc-js does not use it while channelz is on.
  Object.defineProperty(server, "_streamHandler", { value: undefined, writable: true });
  assert.equal(otel.instrumentServer(server), server);
  server.addService(echoService, echoHandlers);
  const client = echoClient(`localhost:${await listen(server)}`, {});
  t.after(() => {
    client.close();
    server.forceShutdown();
  });

  assert.equal(await unary(client, "hello"), "hello");
  assert.equal(await unary(client, "status 9"), "FAILED_PRECONDITION");
  assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "x" })), ["x", "x", "x"]);
  const bidi = client.BidirectionalStreamingEcho();
  bidi.end();
  assert.deepEqual(await readAll(bidi), []);
  const hanging = client.UnaryEcho({ message: "hang" }, {}, () => {});
  const started = "grpc.server.call.started{method=grpc.examples.echo.Echo";
  await eventuallyEqual(async () => (await recording.series())[`${started}/UnaryEcho}`], "3");
  hanging.cancel();

  const duration = "grpc.server.call.duration{method=grpc.examples.echo.Echo";
  await eventuallyEqual(() => recording.series(), {
    [`${started}/UnaryEcho}`]: "3",
    [`${started}/ServerStreamingEcho}`]: "1",
    [`${started}/BidirectionalStreamingEcho}`]: "1",
    [`${duration}/UnaryEcho,status=OK}`]: "1",
    [`${duration}/UnaryEcho,status=FAILED_PRECONDITION}`]: "1",
    [`${duration}/UnaryEcho,status=CANCELLED}`]: "1",
    [`${duration}/ServerStreamingEcho,status=OK}`]: "1",
    [`${duration}/BidirectionalStreamingEcho,status=OK}`]: "1",
  });
  await eventuallyEqual(() => warnings, ["gRPC server metrics are incomplete"]);
  stop();
});

test("without a stream handler, every kind of handler failure is recorded", async (t) => {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  const server = new grpc.Server();
  Object.defineProperty(server, "_streamHandler", { value: undefined, writable: true });
  otel.instrumentServer(server);
  server.addService(echoService, {
    ...echoHandlers,
    UnaryEcho(_call: unknown, reply: grpc.sendUnaryData<EchoMessage>) {
      reply(new Error("without a code"));
    },
    ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
      call.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details: "planned" });
    },
  });
  const client = echoClient(`localhost:${await listen(server)}`, {});
  t.after(() => {
    client.close();
    server.forceShutdown();
  });

  assert.equal(await unary(client, "hello"), "UNKNOWN");
  assert.equal(
    await readAll(client.ServerStreamingEcho({ message: "x" })),
    "RESOURCE_EXHAUSTED",
  );
  await new Promise((resolve) => client.ClientStreamingEcho(resolve).end());
  server.unregister("/grpc.examples.echo.Echo/UnaryEcho");
  assert.equal(await unary(client, "hello"), "UNIMPLEMENTED");

  const started = "grpc.server.call.started{method=grpc.examples.echo.Echo";
  const duration = "grpc.server.call.duration{method=grpc.examples.echo.Echo";
  await eventuallyEqual(() => recording.series(), {
    [`${started}/UnaryEcho}`]: "1",
    [`${started}/ServerStreamingEcho}`]: "1",
    [`${started}/ClientStreamingEcho}`]: "1",
    [`${duration}/UnaryEcho,status=UNKNOWN}`]: "1",
    [`${duration}/ServerStreamingEcho,status=RESOURCE_EXHAUSTED}`]: "1",
    [`${duration}/ClientStreamingEcho,status=OK}`]: "1",
  });
});

test("without private parts of grpc-js, calls that a filter refuses are left out", async (t) => {
  const recording = new Recording();
  const traces = new SpanRecording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    tracerProvider: traces.tracerProvider,
    methodFilter: (method) => method !== "grpc.examples.echo.Echo/ServerStreamingEcho",
  });
  const server = new grpc.Server();
  Object.defineProperty(server, "_streamHandler", { value: undefined, writable: true });
  otel.instrumentServer(server);
  server.addService(echoService, echoHandlers);
  const client = echoClient(
    `localhost:${await listen(server)}`,
    otel.clientOptions({ channelFactoryOverride: opaqueChannel }),
  );
  t.after(() => {
    client.close();
    server.forceShutdown();
  });

  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await readAll(client.ServerStreamingEcho({ message: "x" })), ["x", "x", "x"]);
  const labels = "{method=grpc.examples.echo.Echo/UnaryEcho";
  await eventuallyEqual(() => recording.series(), {
    [`grpc.client.call.duration${labels},status=OK}`]: "1",
    [`grpc.server.call.started${labels}}`]: "1",
    [`grpc.server.call.duration${labels},status=OK}`]: "1",
  });
  assert.deepEqual([...traces.byName().keys()], [
    "Sent.grpc.examples.echo.Echo.UnaryEcho",
  ]);
});
