/** Which metrics a plugin records, and the labels that an application gives to all of them. */
import * as grpc from "@grpc/grpc-js";
import type { Attributes, Meter, MeterProvider } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import { clientSeries, serverSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { retrying } from "../support/retrying.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

const STARTED = "grpc.server.call.started";
const RETRIES = "grpc.client.call.retries";
const DURATION = "grpc.client.call.duration";

const SELECTIONS: readonly (readonly [
  what: string,
  options: GrpcOpenTelemetryOptions,
  expected: readonly string[],
])[] = [
  ["none are on by default", { disableAllMetrics: true }, []],
  [
    "those that are enabled are on, whether they are so by default or not",
    { disableAllMetrics: true, enableMetrics: [RETRIES, STARTED] },
    [RETRIES, STARTED],
  ],
  [
    "those that are disabled too are off",
    { disableAllMetrics: true, enableMetrics: [DURATION, STARTED], disableMetrics: [DURATION] },
    [STARTED],
  ],
];

for (const [what, plugin, expected] of SELECTIONS) {
  test(`with disableAllMetrics, ${what}`, async () => {
    const traces = new SpanRecording();
    await withEchoPair(
      { plugin: { ...plugin, tracerProvider: traces.tracerProvider }, client: retrying(2) },
      async ({ client, recording }) => {
        assert.equal(await unary(client, "status 14"), "UNAVAILABLE");
        // The call has one span, two attempts and two calls of the server.
        await eventuallyEqual(() => traces.spans.length, 5);
        await eventuallyEqual(
          async () => (await recording.metrics()).map(({ descriptor }) => descriptor.name).sort(),
          expected,
        );
      },
    );
  });
}

test("disableAllMetrics that is false changes nothing", () =>
  withEchoPair({ plugin: { disableAllMetrics: false } }, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
      ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    });
  }));

/** A metric that is recorded in each of the ways that the plugin has. */
const EVERY_GROUP = [
  "grpc.client.attempt.started",
  "grpc.client.attempt.duration",
  DURATION,
  RETRIES,
  STARTED,
  "grpc.server.call.duration",
  "grpc.subchannel.disconnections",
  "grpc.subchannel.open_connections",
];

test("metricAttributes are on every series of every metric", () => {
  const metricAttributes = { tenant: "blue", shard: 3, canary: true, broken: "\ud83d" };
  return withEchoPair(
    { plugin: { enableMetrics: METRIC_NAMES, metricAttributes }, client: retrying(2) },
    async ({ client, recording, server }) => {
      metricAttributes.tenant = "changed later";
      assert.equal(await unary(client, "status 14"), "UNAVAILABLE");
      assert.equal(await unary(client, "hello"), "hello");
      server.forceShutdown();
      await eventually(async () => {
        const recorded = await recording.metrics();
        const names = recorded.map(({ descriptor }) => descriptor.name);
        for (const name of EVERY_GROUP) assert.ok(names.includes(name), name);
        for (const { descriptor: { name }, dataPoints } of recorded) {
          for (const { attributes } of dataPoints) {
            const { tenant, shard, canary, broken } = attributes;
            assert.deepEqual(
              { tenant, shard, canary, broken },
              { tenant: "blue", shard: 3, canary: true, broken: "\ufffd" },
              name,
            );
          }
        }
      });
    },
  );
});

for (
  const [what, metricAttributes, message] of [
    ["a label of the plugin", { "grpc.method": "x" }, /metricAttributes: "grpc.method" must be/],
    ["a name that the plugin may use", { "grpc.new": 1 }, /metricAttributes: "grpc.new" must be/],
    [
      "the label of the overflow series",
      { "otel.metric.overflow": true },
      /metricAttributes: "otel.metric.overflow" must be/,
    ],
    ["an empty name", { "": "x" }, /metricAttributes: "" must be a name that is not empty/],
    ["a list", { zones: ["a"] }, /the value of "zones" must be a string/],
    ["no value", { zone: undefined }, /the value of "zone" must be a string/],
    ["not a number", { shard: NaN }, /the value of "shard" must be a string/],
  ] as const
) {
  test(`metricAttributes refuse ${what}`, () => {
    const options = { metricAttributes } as unknown as GrpcOpenTelemetryOptions;
    assert.throws(() => new GrpcOpenTelemetry(options), { name: "RangeError", message });
  });
}

test("plugins on one meter provider keep their own attributes", async (t) => {
  const recording = new Recording();
  await twoTenants(t, recording.meterProvider);
  await eventually(async () =>
    assert.deepEqual(
      (await recording.valuesOf("tenant")).sort(),
      ["blue", "green"],
    )
  );
});

test("plugins keep their own attributes if a meter gives both the same instruments", async (t) => {
  const tenants = new Set<unknown>();
  const instruments = new Map<string, object>();
  const record = (_: number, attributes: Attributes = {}) => void tenants.add(attributes["tenant"]);
  const instrument = (kind: "add" | "record") => (name: string) => {
    const known = instruments.get(name) ?? { [kind]: record };
    instruments.set(name, known);
    return known;
  };
  const meter = {
    createCounter: instrument("add"),
    createUpDownCounter: instrument("add"),
    createHistogram: instrument("record"),
  } as unknown as Meter;
  await twoTenants(t, { getMeter: () => meter });
  assert.deepEqual([...tenants].sort(), ["blue", "green"]);
});

/** Makes a call on a channel of each of two plugins. */
async function twoTenants(
  t: { after(stop: () => void): void },
  meterProvider: MeterProvider,
): Promise<void> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const port = await listen(server);
  const clients = ["blue", "green"].map((tenant) => {
    const otel = new GrpcOpenTelemetry({ meterProvider, metricAttributes: { tenant } });
    const client = echoClient(`localhost:${port}`, otel.clientOptions());
    t.after(() => client.close());
    return client;
  });
  for (const client of clients) assert.equal(await unary(client, "hello"), "hello");
}
