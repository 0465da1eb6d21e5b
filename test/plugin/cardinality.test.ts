/** Metrics use bounded memory for any number of label values, and count every call. */
import * as grpc from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { ClientTelemetry } from "../../plugin/client/call.ts";
import { withCustomLabel } from "../../plugin/client/custom-label.ts";
import { createInstruments } from "../../plugin/metrics/instruments.ts";
import type { Instruments } from "../../plugin/metrics/instruments.ts";
import { selectMetrics } from "../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { SubchannelMetrics } from "../../plugin/client/subchannel-metrics.ts";
import { echoClient, unary } from "../support/echo.ts";
import { heapInUse, megabytes } from "../support/heap.ts";
import { Recording } from "../support/series.ts";
import type { HistogramValue } from "../support/series.ts";

const TIMES = 100_000;
/** The SDK's own series limit starts over with each collection, so the tests collect several times. */
const COLLECTIONS = 20;
/** Enough for the series of 2000 label sets. 100,000 label sets would take 50 times as much. */
const MOST_BYTES = 60e6;

const warnings: string[] = [];
const collect = ({ name, message }: Error) => {
  if (name === "GrpcOpenTelemetryWarning") {
    warnings.push(message.split(/[:.]/)[0] ?? "");
  }
};
process.on("warning", collect);
after(() => process.off("warning", collect));

const OVERFLOWED = { series: 1999, values: TIMES, overflow: TIMES - 1998 };
const ALL_OVERFLOWED = {
  "grpc.client.attempt.started": OVERFLOWED,
  "grpc.client.attempt.duration": OVERFLOWED,
  "grpc.client.attempt.sent_total_compressed_message_size": OVERFLOWED,
  "grpc.client.attempt.rcvd_total_compressed_message_size": OVERFLOWED,
  "grpc.client.call.duration": OVERFLOWED,
};

test("100,000 methods use 1998 label sets and the overflow series", async (t) => {
  const recording = new Recording();
  const telemetry = clientTelemetry(recording);
  await many(
    t,
    recording,
    (i) => callOnce(telemetry, `/proxied.Service${i}/Method`),
  );
  assert.deepEqual(await totals(recording), ALL_OVERFLOWED);
});

test("100,000 methods that a filter hides use one label set", async (t) => {
  const recording = new Recording();
  const telemetry = clientTelemetry(recording, { methodLabel: () => "other" });
  await many(
    t,
    recording,
    (i) => callOnce(telemetry, `/proxied.Service${i}/Method`),
  );
  const demoted = { series: 1, values: TIMES, overflow: 0 };
  assert.deepEqual(
    await totals(recording),
    Object.fromEntries(
      Object.keys(ALL_OVERFLOWED).map((name) => [name, demoted]),
    ),
  );
});

test("100,000 custom labels use 1998 label sets and the overflow series", async (t) => {
  const recording = new Recording();
  const telemetry = clientTelemetry(recording, {
    optionalLabels: new Set(["grpc.client.call.custom"]),
  });
  await many(t, recording, (i) =>
    // Several methods, because the limit must apply to all of them together.
    withCustomLabel(`user ${i}`, () => callOnce(telemetry, `/a.Service/Method${i % 100}`)));
  assert.deepEqual(await totals(recording), ALL_OVERFLOWED);
});

test("100,000 targets use 1998 label sets and the overflow series in every metric", async (t) => {
  const recording = new Recording();
  const instruments = instrumentsOf(recording, [
    "grpc.client.call.retries",
    "grpc.client.call.transparent_retries",
    "grpc.client.call.hedges",
    "grpc.client.call.retry_delay",
    "grpc.subchannel.connection_attempts_succeeded",
    "grpc.subchannel.connection_attempts_failed",
    "grpc.subchannel.open_connections",
    "grpc.subchannel.disconnections",
    "grpc.client.call.delay.duration",
    "grpc.client.attempt.delay.duration",
  ]);
  await many(t, recording, (i) => {
    const target = `dns:///10.0.0.1:${i}`;
    callOnce(
      clientTelemetry(recording, { target, instruments }),
      "/a.Service/Method",
      2,
    );
    const connections = new SubchannelMetrics(
      instruments.subchannel!,
      target,
      new Set(["grpc.disconnect_error", "grpc.security_level"]),
      () => true,
    ).recorderFor({})!;
    connections.connectionFailed(ROOT_CONTEXT);
    connections.connected("none", ROOT_CONTEXT);
    connections.disconnected("unknown", "none", ROOT_CONTEXT);
  });
  const twice = {
    series: 1999,
    values: 2 * TIMES,
    overflow: 2 * (TIMES - 1998),
  };
  assert.deepEqual(await totals(recording), {
    "grpc.client.attempt.started": twice,
    "grpc.client.attempt.duration": twice,
    "grpc.client.attempt.sent_total_compressed_message_size": twice,
    "grpc.client.attempt.rcvd_total_compressed_message_size": twice,
    "grpc.client.call.duration": OVERFLOWED,
    "grpc.client.call.retries": OVERFLOWED,
    "grpc.client.call.retry_delay": OVERFLOWED,
    "grpc.subchannel.connection_attempts_succeeded": OVERFLOWED,
    "grpc.subchannel.connection_attempts_failed": OVERFLOWED,
    // Each connection that was opened is closed again with the same labels.
    "grpc.subchannel.open_connections": { series: 1999, values: 0, overflow: 0 },
    "grpc.subchannel.disconnections": OVERFLOWED,
    "grpc.client.call.delay.duration": OVERFLOWED,
    "grpc.client.attempt.delay.duration": twice,
  });
});

test("plugins that share a provider share the limit of each metric", async (t) => {
  const recording = new Recording();
  let instruments = instrumentsOf(recording);
  await many(t, recording, (i) => {
    if (i % 100 === 0) instruments = instrumentsOf(recording);
    callOnce(
      clientTelemetry(recording, { instruments }),
      `/proxied.Service${i}/Method`,
    );
  });
  assert.deepEqual(await totals(recording), ALL_OVERFLOWED);
});

test("100,000 status codes use 32 labels and other", async (t) => {
  const recording = new Recording();
  const telemetry = clientTelemetry(recording);
  await many(
    t,
    recording,
    (i) => callOnce(telemetry, "/a.Service/Method", 1, 17 + i),
  );
  // A code that gRPC defines keeps its name.
  callOnce(telemetry, "/a.Service/Method", 1, grpc.status.NOT_FOUND);
  const codes = Array.from({ length: 32 }, (_, i) => `CODE(${17 + i})`);
  assert.deepEqual(await callsByStatus(recording), {
    ...Object.fromEntries(codes.map((code) => [code, 1])),
    other: TIMES - 32,
    NOT_FOUND: 1,
  });
});

test("arbitrary status codes of a server use a bounded number of labels", async (t) => {
  const CALLS = 2000;
  /** The first answers are not codes. Those after them are arbitrary numbers. */
  const junk = [
    "-1",
    "1.5",
    "NaN",
    "Infinity",
    "0x7",
    "",
    "zero",
    "99999999999999999999",
  ];
  let answered = 0;
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": junk[answered++] ?? `${answered * 7919}`,
    }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
  });
  const client = echoClient(
    `127.0.0.1:${(server.address() as AddressInfo).port}`,
    plugin.clientOptions(),
  );
  t.after(() => {
    client.close();
    server.close();
  });
  for (let i = 0; i < CALLS; i += 50) {
    await Promise.all(Array.from({ length: 50 }, () => unary(client, "hello")));
  }
  const byStatus = await callsByStatus(recording);
  assert.equal(
    Object.values(byStatus).reduce((sum, count) => sum + count, 0),
    CALLS,
  );
  assert.equal(
    (await totals(recording))["grpc.client.attempt.started"]?.values,
    CALLS,
  );
  const statuses = Object.keys(byStatus);
  assert.ok(statuses.length <= 34, statuses.join());
  assert.ok(byStatus["other"]! > CALLS - 100, JSON.stringify(byStatus));
});

test("each of the two limits is warned of once", () =>
  assert.deepEqual(warnings.toSorted(), [
    "gRPC metrics",
    "gRPC metrics have too many series",
  ]));

interface Setting {
  readonly target?: string;
  readonly methodLabel?: (path: string) => string;
  readonly optionalLabels?: ConstructorParameters<
    typeof ClientTelemetry
  >[0]["optionalLabels"];
  readonly instruments?: Instruments;
}

function clientTelemetry(
  recording: Recording,
  setting: Setting = {},
): ClientTelemetry {
  const instruments = setting.instruments ?? instrumentsOf(recording);
  return new ClientTelemetry({
    instruments,
    target: setting.target ?? "dns:///localhost:1",
    methodLabel: setting.methodLabel ?? ((path) => path),
    optionalLabels: setting.optionalLabels ?? new Set(),
    tracer: undefined,
    propagation: undefined,
    includes: () => true,
  });
}

function instrumentsOf(
  recording: Recording,
  enabled: readonly string[] = [],
): Instruments {
  return createInstruments(
    recording.meterProvider.getMeter("test"),
    selectMetrics(enabled, []),
  );
}

/** Records a call in the way the hooks do, without a network. */
function callOnce(
  telemetry: ClientTelemetry,
  path: string,
  attempts = 1,
  code = 0,
): void {
  const call = telemetry.createCall(path);
  call.start();
  if (telemetry.recordsCallDelays) call.queuedForResolution(undefined);
  call.resolved();
  for (let previous = 0; previous < attempts; previous++) {
    const metadata = new grpc.Metadata();
    if (previous > 0) metadata.set("grpc-previous-rpc-attempts", `${previous}`);
    const attempt = call.startAttempt(metadata, false)!;
    attempt.delays?.begin("connecting", "planned");
    attempt.end({ code, details: "" });
  }
  call.end({ code, details: "" });
}

/** Calls `record` {@link TIMES} times, collects in between, and checks how much the heap grows. */
async function many(
  t: TestContext,
  recording: Recording,
  record: (i: number) => void,
): Promise<void> {
  const before = await heapInUse();
  for (let i = 0; i < TIMES; i++) {
    record(i);
    if (i % (TIMES / COLLECTIONS) === 0) await recording.metrics();
  }
  await recording.metrics();
  const bytes = await heapInUse() - before;
  console.log(`${t.name}: ${megabytes(bytes)} more`);
  assert.ok(bytes < MOST_BYTES, `${megabytes(bytes)} of heap`);
}

interface Total {
  readonly series: number;
  readonly values: number;
  /** The number of values in the overflow series. */
  readonly overflow: number;
}

async function totals(recording: Recording): Promise<Record<string, Total>> {
  const metrics = await recording.metrics();
  return Object.fromEntries(metrics.map(({ descriptor, dataPoints }) => {
    let values = 0;
    let overflow = 0;
    for (const { attributes, value } of dataPoints) {
      values += countOf(value);
      if (attributes["otel.metric.overflow"] === true) {
        overflow += countOf(value);
      }
    }
    return [descriptor.name, { series: dataPoints.length, values, overflow }];
  }));
}

/** Returns the number of ended calls for each `grpc.status`. */
async function callsByStatus(
  recording: Recording,
): Promise<Record<string, number>> {
  const metrics = await recording.metrics();
  const durations = metrics.find(({ descriptor }) =>
    descriptor.name === "grpc.client.call.duration"
  )!;
  return Object.fromEntries(
    durations.dataPoints.map((
      { attributes, value },
    ) => [String(attributes["grpc.status"]), countOf(value)]),
  );
}

function countOf(value: unknown): number {
  return typeof value === "number" ? value : (value as HistogramValue).count;
}
