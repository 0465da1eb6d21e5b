/** The names of OpenTelemetry's conventions for RPC, from the metrics of gRPC. */
import * as grpc from "@grpc/grpc-js";
import type { Attributes } from "@opentelemetry/api";
import { AggregationTemporality, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { canonicalTarget, GrpcOpenTelemetry, openTelemetryViews } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { createInstruments } from "../../plugin/metrics/instruments.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { createSeries } from "../../plugin/metrics/sdk-storage.ts";
import { serverAddress } from "../../plugin/views/server-address.ts";
import { PrometheusReader, renderPrometheusText } from "../../prometheus/mod.ts";
import {
  echoClient,
  echoHandlers,
  echoService,
  listen,
  readAll,
  statusName,
  unary,
} from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import type { HistogramValue } from "../support/series.ts";

class ManualReader extends MetricReader {
  constructor(temporality = AggregationTemporality.CUMULATIVE) {
    super({ aggregationTemporalitySelector: () => temporality });
  }
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async metrics(): Promise<MetricData[]> {
    const { resourceMetrics } = await this.collect();
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  }
}

interface Pair {
  readonly client: EchoClient;
  readonly port: number;
}

/** Runs a server and a client that record with a provider with OpenTelemetry's views. */
async function instrumented(
  t: TestContext,
  readers: MetricReader[],
  { keep, ...plugin }: GrpcOpenTelemetryOptions & { keep?: boolean },
): Promise<Pair> {
  const views = openTelemetryViews(keep === undefined ? {} : { keep });
  const meterProvider = new MeterProvider({ readers, views });
  const otel = new GrpcOpenTelemetry({ meterProvider, ...plugin });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  const client = echoClient(`127.0.0.1:${port}`, otel.clientOptions());
  t.after(() => {
    client.close();
    server.forceShutdown();
  });
  return { client, port };
}

/** The series of a histogram: its labels, count and sum. */
function pointsOf(metrics: readonly MetricData[], name: string) {
  const metric = metrics.find(({ descriptor }) => descriptor.name === name);
  return (metric?.dataPoints ?? []).map(({ attributes, value }) => {
    const { count, sum } = value as HistogramValue;
    return { attributes, count, sum };
  });
}

const ECHO = "grpc.examples.echo.Echo";
const CODES = Array.from({ length: 18 }, (_, code) => code);
const SERVER_ERRORS = [
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
];

/** Ends a call with each status, one of them that gRPC does not define. */
async function endWithEachStatus(client: EchoClient): Promise<void> {
  for (const code of CODES) await unary(client, code === 0 ? "hello" : `status ${code}`);
}

test("each status has OpenTelemetry's labels, next to gRPC's, with the same values", async (t) => {
  const reader = new ManualReader();
  const { client, port } = await instrumented(t, [reader], { keep: true });
  await endWithEachStatus(client);
  const metrics = await eventually(async () => {
    const metrics = await reader.metrics();
    assert.equal(pointsOf(metrics, "rpc.server.call.duration").length, CODES.length);
    return metrics;
  });
  for (const side of ["client", "server"] as const) {
    const own = pointsOf(metrics, `rpc.${side}.call.duration`);
    const kept = pointsOf(metrics, `grpc.${side}.call.duration`);
    assert.equal(kept.length, CODES.length);
    assert.deepEqual(
      own.map(({ count, sum }) => [count, sum]),
      kept.map(({ count, sum }) => [count, sum]),
    );
    assert.deepEqual(
      own.map(({ attributes }) => attributes),
      CODES.map((code): Attributes => {
        const status = statusName(code);
        const isError = side === "client" ? code !== 0 : SERVER_ERRORS.includes(status);
        return {
          "rpc.system.name": "grpc",
          "rpc.method": `${ECHO}/UnaryEcho`,
          "rpc.response.status_code": status,
          ...(isError && { "error.type": status }),
          ...(side === "client" && { "server.address": "127.0.0.1", "server.port": port }),
        };
      }),
    );
    assert.deepEqual(
      kept.map(({ attributes }) => attributes["grpc.status"]),
      CODES.map(statusName),
    );
  }
});

test("the metrics have the units, descriptions and bounds of the conventions", async (t) => {
  const reader = new ManualReader();
  const { client } = await instrumented(t, [reader], {});
  await unary(client, "hello");
  await eventually(async () => {
    const renamed = (await reader.metrics()).filter(({ descriptor }) =>
      descriptor.name.endsWith(".call.duration")
    );
    assert.deepEqual(
      renamed.map(({ descriptor: { name, unit, description }, dataPoints }) => [
        name,
        unit,
        description,
        (dataPoints[0]!.value as HistogramValue).buckets.boundaries,
      ]),
      [["client", "outgoing"], ["server", "incoming"]].map(([side, direction]) => [
        `rpc.${side}.call.duration`,
        "s",
        `Measures the duration of an ${direction} Remote Procedure Call (RPC).`,
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
      ]),
    );
  });
});

test("metrics without a counterpart stay, and renamed ones are gone without keep", async (t) => {
  const reader = new ManualReader();
  const { client } = await instrumented(t, [reader], { keep: false });
  await unary(client, "hello");
  await readAll(client.ServerStreamingEcho({ message: "x" }));
  await eventually(async () => {
    assert.deepEqual((await reader.metrics()).map(({ descriptor }) => descriptor.name).sort(), [
      "grpc.client.attempt.duration",
      "grpc.client.attempt.rcvd_total_compressed_message_size",
      "grpc.client.attempt.sent_total_compressed_message_size",
      "grpc.client.attempt.started",
      "grpc.server.call.rcvd_total_compressed_message_size",
      "grpc.server.call.sent_total_compressed_message_size",
      "grpc.server.call.started",
      "rpc.client.call.duration",
      "rpc.server.call.duration",
    ]);
  });
});

test("methods and targets that are hidden are _OTHER and left out", async (t) => {
  const reader = new ManualReader();
  const hidden = () => false;
  const { client } = await instrumented(t, [reader], {
    targetAttributeFilter: hidden,
    methodAttributeFilter: hidden,
    metricAttributes: { tenant: "blue" },
  });
  await unary(client, "hello");
  await eventually(async () => {
    const metrics = await reader.metrics();
    for (const side of ["client", "server"]) {
      assert.deepEqual(
        pointsOf(metrics, `rpc.${side}.call.duration`).map(({ attributes }) => attributes),
        [{
          tenant: "blue",
          "rpc.system.name": "grpc",
          "rpc.method": "_OTHER",
          "rpc.response.status_code": "OK",
        }],
      );
    }
  });
});

test("a method that is not registered is _OTHER on the server", async (t) => {
  const reader = new ManualReader();
  const { client } = await instrumented(t, [reader], {});
  const none = () => Buffer.alloc(0);
  await new Promise<void>((resolve) => {
    client.makeUnaryRequest("/t.S/Missing", none, none, {}, () => resolve());
  });
  await eventually(async () => {
    const [point] = pointsOf(await reader.metrics(), "rpc.server.call.duration");
    assert.deepEqual(point?.attributes, {
      "rpc.system.name": "grpc",
      "rpc.method": "_OTHER",
      "rpc.response.status_code": "UNIMPLEMENTED",
      "error.type": "UNIMPLEMENTED",
    });
  });
});

test("pull and push have the same values, cumulative and delta, over several collections", async (t) => {
  const [pull, push, delta] = [
    new PrometheusReader(),
    new ManualReader(),
    new ManualReader(AggregationTemporality.DELTA),
  ];
  const { client, port } = await instrumented(t, [pull, push, delta], { keep: true });
  const names = ["rpc.client.call.duration", "grpc.client.call.duration"];
  let deltas = 0;
  for (const total of [2, 5]) {
    for (let i = deltas; i < total; i++) await unary(client, "hello");
    const changed = await delta.metrics();
    const metrics = await push.metrics();
    const text = renderPrometheusText(await pull.collect());
    for (const name of names) {
      const [point, ...more] = pointsOf(metrics, name);
      assert.deepEqual(more, []);
      assert.equal(point?.count, total, name);
      assert.equal(pointsOf(changed, name)[0]?.count, total - deltas, name);
    }
    const { sum } = pointsOf(metrics, names[0]!)[0]!;
    const labels = `otel_scope_name="grpc-js",[^{}]*` +
      `rpc_method="${ECHO}/UnaryEcho",rpc_response_status_code="OK",rpc_system_name="grpc",` +
      `server_address="127\\.0\\.0\\.1",server_port="${port}"`;
    assert.match(
      text,
      new RegExp(`^rpc_client_call_duration_seconds_count\\{${labels}\\} ${total}$`, "m"),
    );
    assert.match(
      text,
      new RegExp(`^rpc_client_call_duration_seconds_sum\\{${labels}\\} ${sum}$`, "m"),
    );
    assert.match(
      text,
      new RegExp(
        `^rpc_client_call_duration_seconds_bucket\\{${labels},le="\\+Inf"\\} ${total}$`,
        "m",
      ),
    );
    assert.match(text, /^grpc_client_call_duration_seconds_count\{.*grpc_status="OK"/m);
    deltas = total;
  }
});

test("series over the limit are in the overflow series under both names", async () => {
  const reader = new ManualReader();
  const views = openTelemetryViews({ keep: true });
  const meter = new MeterProvider({ readers: [reader], views }).getMeter("grpc-js");
  const { clientCall } = createInstruments(meter, new Set(METRIC_NAMES));
  for (let i = 0; i < 2010; i++) {
    const labels = { "grpc.method": `t.S/M${i}`, "grpc.target": "other", "grpc.status": "OK" };
    createSeries(clientCall.duration, labels).record(1, undefined);
  }
  const metrics = await reader.metrics();
  for (const name of ["rpc.client.call.duration", "grpc.client.call.duration"]) {
    const points = pointsOf(metrics, name);
    assert.equal(points.length, 1999);
    const overflow = points.filter(({ attributes }) => "otel.metric.overflow" in attributes);
    assert.deepEqual(overflow, [
      { attributes: { "otel.metric.overflow": true }, count: 12, sum: 12 },
    ]);
  }
});

test("plugins of one provider share the renamed series", async (t) => {
  const reader = new ManualReader();
  const views = openTelemetryViews({ keep: true });
  const meterProvider = new MeterProvider({ readers: [reader], views });
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const port = await listen(server);
  for (let i = 0; i < 2; i++) {
    const otel = new GrpcOpenTelemetry({ meterProvider });
    const client = echoClient(`localhost:${port}`, otel.clientOptions());
    t.after(() => client.close());
    assert.equal(await unary(client, "hello"), "hello");
  }
  const metrics = await reader.metrics();
  for (const name of ["rpc.client.call.duration", "grpc.client.call.duration"]) {
    assert.deepEqual(pointsOf(metrics, name).map(({ count }) => count), [2]);
  }
});

test("the views need no context of calls, and select the plugin's meter only", async () => {
  const reader = new ManualReader();
  const views = openTelemetryViews({ keep: true });
  const provider = new MeterProvider({ readers: [reader], views });
  const all = new Set(METRIC_NAMES);
  assert.equal(createInstruments(provider.getMeter("grpc-js"), all).readContext, false);
  provider.getMeter("mine").createHistogram("grpc.client.call.duration").record(1, { own: 1 });
  assert.deepEqual((await reader.metrics()).map(({ descriptor }) => descriptor.name), [
    "grpc.client.call.duration",
  ]);
});

/** The examples of the conventions for gRPC, and targets of grpc-js. */
const ADDRESSES: Readonly<Record<string, readonly [address: string, port?: number]>> = {
  "grpc.io:50051": ["grpc.io", 50051],
  "dns://1.2.3.4/grpc.io:50051": ["grpc.io", 50051],
  "unix:///run/containerd/containerd.sock": ["/run/containerd/containerd.sock"],
  "zk://zookeeper:2181/my-server": ["zk://zookeeper:2181/my-server"],
  "ipv4:198.51.100.123:50051,198.51.100.124:50051": [
    "ipv4:198.51.100.123:50051,198.51.100.124:50051",
  ],
  "localhost": ["localhost", 443],
  "dns:localhost:8080": ["localhost", 8080],
  "[::1]:50051": ["::1", 50051],
  "dns:///[2001:db8::1]": ["2001:db8::1", 443],
  "ipv4:198.51.100.123:50051": ["198.51.100.123", 50051],
  "ipv6:[2001:db8::1]:50051": ["2001:db8::1", 50051],
  "unix:/tmp/echo.sock": ["/tmp/echo.sock"],
  "xds:///echo.example.com": ["xds:///echo.example.com"],
  "dns:///": ["dns:///"],
  "dns:///a/b:1": ["dns:///a/b:1"],
};

for (const [target, [address, port]] of Object.entries(ADDRESSES)) {
  test(`the address of ${target} is ${address}${port === undefined ? "" : `, port ${port}`}`, () => {
    const canonical = canonicalTarget(target, (scheme) => scheme === "zk");
    assert.deepEqual(serverAddress(canonical), {
      "server.address": address,
      ...(port !== undefined && { "server.port": port }),
    });
  });
}
