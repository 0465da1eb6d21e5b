import assert from "node:assert/strict";
import { test } from "node:test";
import { customLabel, GrpcOpenTelemetry, withCustomLabel } from "../../plugin/mod.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { readAll, unary } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import { retrying } from "../support/retrying.ts";
import type { Recording } from "../support/series.ts";

/** Returns the values of a label for each client metric, in alphabetical order. */
async function valuesByMetric(recording: Recording, label: string) {
  const values: Record<string, unknown[]> = {};
  for (const { descriptor: { name }, dataPoints } of await recording.metrics()) {
    if (!name.startsWith("grpc.client.")) continue;
    values[name] = dataPoints.map(({ attributes }) => attributes[label]).sort();
  }
  return values;
}

function onEach(names: readonly string[], values: readonly unknown[]) {
  return Object.fromEntries(names.map((name) => [name, values]));
}

const CALL = METRIC_NAMES.filter((name) =>
  /^grpc\.client\.(attempt|call\.duration)/.test(name) && !name.includes("delay")
);
const ENDED_ATTEMPT = CALL.filter((name) => /attempt\.(duration|sent|rcvd)/.test(name));

test("an optional label is not recorded by default", () =>
  withEchoPair({}, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello", customLabel("checkout")), "hello");
    assert.deepEqual(
      await valuesByMetric(recording, "grpc.client.call.custom"),
      onEach(CALL, [undefined]),
    );
  }));

test("a custom label is on all metrics of its call, and empty on other calls", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.client.call.custom"] } },
    async ({ client, recording }) => {
      assert.equal(await unary(client, "hello", customLabel("checkout", {})), "hello");
      assert.equal(await unary(client, "hello"), "hello");
      assert.deepEqual(
        await valuesByMetric(recording, "grpc.client.call.custom"),
        onEach(CALL, ["", "checkout"]),
      );
    },
  ));

test("custom labels that are cut in different halves of a character share their series", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.client.call.custom"] } },
    async ({ client, recording }) => {
      for (const half of ["\u{1f600}".slice(0, 1), "\u{1f600}".slice(1)]) {
        assert.equal(await unary(client, "hello", customLabel(`cut ${half}`)), "hello");
      }
      assert.deepEqual(
        await valuesByMetric(recording, "grpc.client.call.custom"),
        onEach(CALL, ["cut \ufffd"]),
      );
      for (const { descriptor: { name }, dataPoints } of await recording.metrics()) {
        if (name !== "grpc.client.attempt.started") continue;
        assert.deepEqual(dataPoints.map(({ value }) => value), [2]);
      }
    },
  ));

test("a custom label is on the retry metrics", () =>
  withEchoPair(
    {
      plugin: {
        optionalLabels: ["grpc.client.call.custom"],
        enableMetrics: ["grpc.client.call.retries", "grpc.client.call.retry_delay"],
      },
      client: retrying(2),
    },
    async ({ client, recording }) => {
      assert.equal(await unary(client, "status 14", customLabel("batch")), "UNAVAILABLE");
      const values = await valuesByMetric(recording, "grpc.client.call.custom");
      assert.deepEqual(values["grpc.client.call.retries"], ["batch"]);
      assert.deepEqual(values["grpc.client.call.retry_delay"], ["batch"]);
    },
  ));

test("streaming calls take the custom label from their call options", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.client.call.custom"] } },
    async ({ client, recording }) => {
      await readAll(client.ServerStreamingEcho({ message: "x" }, customLabel("server stream")));
      const bidi = client.BidirectionalStreamingEcho(customLabel("bidi"));
      bidi.end();
      await readAll(bidi);
      assert.deepEqual(
        (await valuesByMetric(recording, "grpc.client.call.custom"))["grpc.client.call.duration"],
        ["bidi", "server stream"],
      );
    },
  ));

test("withCustomLabel sets the label of synchronous and asynchronous calls", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.client.call.custom"] } },
    async ({ client, recording }) => {
      const replies = await withCustomLabel("report", async () => [
        await unary(client, "one"),
        await unary(client, "two"),
        await unary(client, "three", customLabel("nearer")),
      ]);
      assert.deepEqual(replies, ["one", "two", "three"]);
      assert.equal(await unary(client, "outside"), "outside");
      assert.deepEqual(
        (await valuesByMetric(recording, "grpc.client.call.custom"))["grpc.client.call.duration"],
        ["", "nearer", "report"],
      );
    },
  ));

test("the client's own call transformer still runs and may set the label", () =>
  withEchoPair({
    plugin: { optionalLabels: ["grpc.client.call.custom"] },
    client: {
      callInvocationTransformer: (call) => ({
        ...call,
        callOptions: customLabel("transformed", call.callOptions),
      }),
    },
  }, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(
      await recording.valuesOf("grpc.client.call.custom"),
      ["transformed", undefined], // the server's metrics do not have the label
    );
  }));

test("the load balancer labels are empty and only on ended attempts", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.lb.locality", "grpc.lb.backend_service"] } },
    async ({ client, recording }) => {
      assert.equal(await unary(client, "hello"), "hello");
      for (const label of ["grpc.lb.locality", "grpc.lb.backend_service"]) {
        assert.deepEqual(await valuesByMetric(recording, label), {
          ...onEach(CALL, [undefined]),
          ...onEach(ENDED_ATTEMPT, [""]),
        });
      }
    },
  ));

test("an unknown optional label is rejected with a list of the known ones", () =>
  assert.throws(() => new GrpcOpenTelemetry({ optionalLabels: ["grpc.lb.zone"] }), {
    name: "RangeError",
    message: 'optionalLabels: "grpc.lb.zone" is not an optional label of this plugin; known are ' +
      "grpc.client.call.custom, grpc.lb.locality, grpc.lb.backend_service, " +
      "grpc.disconnect_error, grpc.security_level, grpc.tls.handshake.resumed, " +
      "network.local.address, network.local.port, network.peer.address, network.peer.port, " +
      "grpc.method",
  }));

test("custom labels over the series limit are recorded in the overflow series", () =>
  withEchoPair(
    { plugin: { optionalLabels: ["grpc.client.call.custom"] } },
    async ({ client, recording }) => {
      const calls = 2100;
      for (let i = 0; i < calls; i += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, j) => unary(client, "x", customLabel(`${i + j}`))),
        );
      }
      const duration = (await recording.metrics()).find(({ descriptor }) =>
        descriptor.name === "grpc.client.call.duration"
      );
      const overflow = duration?.dataPoints.find(({ attributes }) =>
        attributes["otel.metric.overflow"] === true
      );
      assert.equal(duration?.dataPoints.length, 1999);
      assert.equal((overflow?.value as { count: number }).count, calls - 1998);
    },
  ));
