import * as grpc from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import { createNoopMeter, metrics } from "@opentelemetry/api";
import type { Meter, MeterProvider } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { createServer as createProxy } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import { clientSeries, serverSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";

const LATENCY =
  "0,0.00001,0.00005,0.0001,0.0003,0.0006,0.0008,0.001,0.002,0.003,0.004,0.005,0.006," +
  "0.008,0.01,0.013,0.016,0.02,0.025,0.03,0.04,0.05,0.065,0.08,0.1,0.13,0.16,0.2,0.25,0.3,0.4,0.5," +
  "0.65,0.8,1,2,5,10,20,50,100";
const SIZE = "0,1024,2048,4096,16384,65536,262144,1048576,4194304,16777216,67108864,268435456," +
  "1073741824,4294967296";

test("instruments have the names, units, descriptions and bounds of gRFC A66", () =>
  withEchoPair({}, async ({ client, recording }) => {
    await unary(client, "hello");
    await eventuallyEqual(
      async () =>
        (await recording.metrics()).map(({ descriptor, dataPoints }) => {
          const { value } = dataPoints[0]!;
          const bounds = typeof value === "number"
            ? "counter"
            : "buckets" in value && value.buckets.boundaries.map(plain).join();
          return [descriptor.name, descriptor.unit, descriptor.description, bounds];
        }),
      [
        [
          "grpc.client.attempt.started",
          "{attempt}",
          "Number of client call attempts started.",
          "counter",
        ],
        [
          "grpc.client.attempt.duration",
          "s",
          "End-to-end time taken to complete a client call attempt.",
          LATENCY,
        ],
        [
          "grpc.client.attempt.sent_total_compressed_message_size",
          "By",
          "Compressed message bytes sent per client call attempt.",
          SIZE,
        ],
        [
          "grpc.client.attempt.rcvd_total_compressed_message_size",
          "By",
          "Compressed message bytes received per call attempt.",
          SIZE,
        ],
        [
          "grpc.client.call.duration",
          "s",
          "Time taken by gRPC to complete an RPC from application's perspective.",
          LATENCY,
        ],
        ["grpc.server.call.started", "{call}", "Number of server calls started.", "counter"],
        [
          "grpc.server.call.duration",
          "s",
          "End-to-end time taken to complete a call from server transport's perspective.",
          LATENCY,
        ],
        [
          "grpc.server.call.sent_total_compressed_message_size",
          "By",
          "Compressed message bytes sent per server call.",
          SIZE,
        ],
        [
          "grpc.server.call.rcvd_total_compressed_message_size",
          "By",
          "Compressed message bytes received per server call.",
          SIZE,
        ],
      ],
    );
  }));

/** Formats small numbers as 0.00001 instead of 1e-5. */
function plain(bound: number): string {
  return bound !== 0 && bound < 0.0001 ? bound.toFixed(5) : String(bound);
}

test("the meter has the name grpc-js and the installed version", () => {
  const asked: unknown[] = [];
  const meterProvider: MeterProvider = {
    getMeter(...scope) {
      asked.push(scope);
      return createNoopMeter();
    },
  };
  new GrpcOpenTelemetry({ meterProvider });
  assert.deepEqual(asked, [["grpc-js", grpcJs.version]]);
});

test("a plugin without a provider records nothing and ignores the global provider", async () => {
  const recording = new Recording();
  metrics.setGlobalMeterProvider(recording.meterProvider);
  const otel = new GrpcOpenTelemetry({});
  const options = {};
  assert.equal(otel.clientOptions(options), options);
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, echoHandlers);
  const client = echoClient(`localhost:${await listen(server)}`, otel.clientOptions());
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await recording.series(), {});
  client.close();
  server.forceShutdown();
  metrics.disable();
});

test("several plugins record one channel and one server", async () => {
  const recordings = [new Recording(), new Recording(), new Recording()];
  const plugins = recordings.map(({ meterProvider }) => new GrpcOpenTelemetry({ meterProvider }));
  const server = new grpc.Server();
  let options: grpc.ClientOptions = {};
  for (const plugin of plugins) {
    plugin.instrumentServer(server);
    options = plugin.clientOptions(options);
  }
  server.addService(echoService, echoHandlers);
  const client = echoClient(`localhost:${await listen(server)}`, options);
  assert.equal(await unary(client, "hello"), "hello");
  for (const recording of recordings) {
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
      ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    });
  }
  client.close();
  server.forceShutdown();
});

test("a plugin that is installed twice records each call once", async () => {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  const server = otel.instrumentServer(otel.instrumentServer(new grpc.Server()));
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  const client = echoClient(`localhost:${port}`, otel.clientOptions(otel.clientOptions()));
  await unary(client, "hello");
  await eventuallyEqual(() => recording.series(), {
    ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  });
  client.close();
  server.forceShutdown();
});

test("instruments that throw cost one warning and no call", async () => {
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on("warning", collect);
  const broken = () => {
    throw new Error("planned");
  };
  const meter = {
    createCounter: () => ({ add: broken }),
    createHistogram: () => ({ record: broken }),
  };
  const otel = new GrpcOpenTelemetry({
    meterProvider: { getMeter: () => meter as unknown as Meter },
  });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, echoHandlers);
  const client = echoClient(`localhost:${await listen(server)}`, otel.clientOptions());
  assert.equal(await unary(client, "one"), "one");
  assert.equal(await unary(client, "two"), "two");
  await eventuallyEqual(
    () => warnings.map(({ name, message }) => [name, message]),
    [["GrpcOpenTelemetryWarning", "gRPC metrics could not be recorded: Error: planned"]],
  );
  process.off("warning", collect);
  client.close();
  server.forceShutdown();
});

test("metrics can be turned off by name", () =>
  withEchoPair({
    plugin: {
      disableMetrics: ["grpc.client.attempt.duration", "grpc.server.call.started"],
    },
  }, async ({ client, recording }) => {
    await unary(client, "hello");
    const expected: Record<string, string> = {
      ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
      ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    };
    delete expected[
      "grpc.client.attempt.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}"
    ];
    delete expected["grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}"];
    await eventuallyEqual(() => recording.series(), expected);
  }));

test("an unknown metric is rejected with a list of the known ones", () => {
  assert.throws(
    () => new GrpcOpenTelemetry({ enableMetrics: ["grpc.client.attempt.start"] }),
    /^RangeError: enableMetrics: "grpc.client.attempt.start" is not a metric of this plugin; known are grpc.client.attempt.started, /,
  );
  assert.throws(() => new GrpcOpenTelemetry({ disableMetrics: ["toString"] }), RangeError);
});

test("filters hide methods and targets as other", () => {
  const asked = new Set<string>();
  return withEchoPair({
    plugin: {
      methodAttributeFilter: (method) => {
        asked.add(method);
        return false;
      },
      targetAttributeFilter: (target) => !target.startsWith("dns:///localhost:"),
    },
  }, async ({ client, recording }) => {
    await unary(client, "hello");
    await eventuallyEqual(async () => (await recording.metrics()).length, 9);
    assert.deepEqual(await recording.valuesOf("grpc.method"), ["other"]);
    assert.deepEqual(await recording.valuesOf("grpc.target"), ["other", undefined]);
    assert.deepEqual(asked, new Set(["grpc.examples.echo.Echo/UnaryEcho"]));
  });
});

/** Asserts that one call with the message `hello`, to this port of localhost, was recorded. */
async function assertOneHello(recording: Recording, port: number): Promise<void> {
  assert.deepEqual(
    await recording.series(),
    clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  );
  assert.deepEqual(await recording.valuesOf("grpc.target"), [`dns:///localhost:${port}`]);
}

test("a channel that the application created is recorded", () =>
  withEchoPair({}, async ({ port }) => {
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
    const channel = new grpc.Channel(`localhost:${port}`, grpc.credentials.createInsecure(), {});
    const client = echoClient("not used", otel.clientOptions({ channelOverride: channel }));
    assert.equal(await unary(client, "hello"), "hello");
    await assertOneHello(recording, port);
    client.close();
  }));

test("a channel that exists is recorded from its next call on, once", () =>
  withEchoPair({}, async ({ port }) => {
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
    const client = echoClient(`localhost:${port}`, {});
    assert.equal(await unary(client, "before"), "before");
    const channel = client.getChannel();
    for (let i = 0; i < 2; i++) assert.equal(otel.instrumentChannel(channel), channel);
    assert.equal(await unary(client, "hello"), "hello");
    await assertOneHello(recording, port);
    client.close();
  }));

test("a channel that uses a proxy has the label of its target", () =>
  withEchoPair({}, async ({ port }) => {
    const proxy = createProxy();
    proxy.on("connect", (request, near) => {
      const far = connect(Number(request.url?.split(":")[1]), "127.0.0.1", () => {
        near.write("HTTP/1.1 200 Connection established\r\n\r\n");
        near.pipe(far).pipe(near);
      });
      for (const socket of [near, far]) socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const before = process.env["grpc_proxy"];
    process.env["grpc_proxy"] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
    const client = echoClient(`localhost:${port}`, {});
    try {
      assert.match(client.getChannel().getTarget(), /127\.0\.0\.1/);
      otel.instrumentChannel(client.getChannel());
      assert.equal(await unary(client, "hello"), "hello");
      assert.deepEqual(await recording.valuesOf("grpc.target"), [`dns:///localhost:${port}`]);
    } finally {
      if (before === undefined) delete process.env["grpc_proxy"];
      else process.env["grpc_proxy"] = before;
      client.close();
      proxy.close();
    }
  }));
