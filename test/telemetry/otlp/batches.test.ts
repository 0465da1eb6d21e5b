/** Exports are bounded in bytes, whatever is exported, and together they are one delivery. */
import { status } from "@grpc/grpc-js";
import { AggregationType, MeterProvider } from "@opentelemetry/sdk-metrics";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_EXPORT_BYTES } from "../../../telemetry/otlp/batches.ts";
import { METRICS, ReportingExporter } from "../../../telemetry/otlp/reporting-exporter.ts";
import type { Exporter } from "../../../telemetry/otlp/reporting-exporter.ts";
import { PeriodicReader } from "../../../telemetry/periodic-reader.ts";
import { OTLP_PROTOCOLS } from "../../../telemetry/settings/variables.ts";
import { exportingMetrics, exportingSpans, recordLabels, seriesOf } from "./exporting.ts";
import { LimitedReceiver } from "./limited-receiver.ts";

/** The most label sets that the plugin gives a metric, apart from the overflow series. */
const LABEL_SETS = 1998;
const LONG = "/acme.orders.v1.OrderService".repeat(20);

for (const protocol of OTLP_PROTOCOLS) {
  test(`${protocol}: metrics with the most series and long names arrive`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol);
    const { meter, deliver, lines, meterProvider } = await exportingMetrics(receiver, protocol);
    const names = ["a.duration", "b.duration", "c.duration"];
    for (const name of names) recordLabels(meter, name, LABEL_SETS, LONG);
    await deliver();
    const bytes = receiver.taken.map((body) => body.length);
    assert.ok(Math.max(...bytes) <= MAX_EXPORT_BYTES, `${bytes}`);
    assert.ok(bytes.reduce((sum, size) => sum + size) > 4 * 1024 * 1024, "more than gRPC takes");
    assert.equal(receiver.requests, receiver.taken.length);
    assert.deepEqual(lines, []);
    if (protocol === "http/json") {
      const expected = names.flatMap((name) =>
        Array.from(
          { length: LABEL_SETS },
          (_, i) =>
            `service.name=exporting exporting 1.0 ${name} grpc.method=${i}${LONG} grpc.status=OK`,
        )
      );
      assert.deepEqual(seriesOf(receiver.taken).sort(), expected.sort());
    }
    await meterProvider.shutdown();
  });

  test(`${protocol}: spans with many events arrive`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol);
    const { tracer, deliver, lines, tracerProvider } = await exportingSpans(receiver, protocol);
    for (let i = 0; i < 400; i++) {
      const span = tracer.startSpan(`span-${i};`);
      for (let event = 0; event < 128; event++) {
        span.addEvent("Outbound message", { "sequence-number": event, "message-size": 100 });
      }
      span.end();
    }
    await deliver();
    assert.ok(receiver.taken.length > 1);
    assert.ok(Math.max(...receiver.taken.map((body) => body.length)) <= MAX_EXPORT_BYTES);
    const all = Buffer.concat(receiver.taken).toString("latin1");
    assert.equal(all.match(/span-\d+;/g)?.length, 400);
    assert.deepEqual(lines, []);
    await tracerProvider.shutdown();
  });

  test(`${protocol}: a span that is too large does not take others with it`, async (t) => {
    const maxBytes = 100_000;
    const receiver = await LimitedReceiver.start(t, protocol, { maxBytes });
    const { tracer, deliver, lines, tracerProvider } = await exportingSpans(receiver, protocol);
    for (let i = 0; i < 20; i++) {
      const attributes = { text: "x".repeat(i === 10 ? 2 * maxBytes : 10) };
      tracer.startSpan(`span-${i};`, { attributes }).end();
    }
    await deliver();
    const all = Buffer.concat(receiver.taken).toString("latin1");
    assert.equal(all.match(/span-\d+;/g)?.length, 19);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      /^telemetry: some spans cannot be delivered to the Collector: .*(413|RESOURCE_EXHAUSTED).*; they are lost, and others will be until this is mended: raise the limit there for the size of a request$/,
    );
    tracer.startSpan("small").end();
    await deliver();
    assert.deepEqual(lines.slice(1), [
      "telemetry: spans are delivered to the Collector again, after N s; 1 were lost",
    ]);
    await tracerProvider.shutdown();
  });

  test(`${protocol}: batches become smaller for a proxy that takes less`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol, { maxBytes: 150_000 });
    const { meter, deliver, lines, meterProvider } = await exportingMetrics(receiver, protocol);
    recordLabels(meter, "a.duration", LABEL_SETS, ";method");
    await deliver();
    const refused = receiver.requests - receiver.taken.length;
    // gRPC refuses such a request before a handler sees it.
    if (protocol !== "grpc") assert.ok(refused > 0);
    await deliver();
    assert.equal(receiver.requests - receiver.taken.length, refused, "refused again");
    const all = Buffer.concat(receiver.taken).toString("latin1");
    assert.equal(all.match(/\d+;method/g)?.length, 2 * LABEL_SETS);
    assert.deepEqual(lines, []);
    await meterProvider.shutdown();
  });
}

test("exponential histograms with many buckets arrive", async (t) => {
  const receiver = await LimitedReceiver.start(t, "http/json");
  const { meter, deliver, lines, meterProvider } = await exportingMetrics(receiver, "http/json", [
    { instrumentName: "*", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
  ]);
  const histogram = meter.createHistogram("a.duration");
  for (let i = 0; i < LABEL_SETS; i++) {
    for (let value = 0.01; value < 2; value *= 1.02) histogram.record(value, { method: `${i}` });
  }
  await deliver();
  const bytes = receiver.taken.map((body) => body.length);
  assert.ok(Math.max(...bytes) <= MAX_EXPORT_BYTES, `${bytes}`);
  assert.equal(receiver.requests, receiver.taken.length);
  assert.equal(new Set(seriesOf(receiver.taken)).size, LABEL_SETS);
  assert.deepEqual(lines, []);
  await meterProvider.shutdown();
});

for (const protocol of ["http/json", "grpc"] as const) {
  test(`${protocol}: a batch that is refused is late, the others are not`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol);
    const { meter, deliver, exporter, lines, meterProvider } = await exportingMetrics(
      receiver,
      protocol,
    );
    recordLabels(meter, "a.duration", LABEL_SETS, LONG);
    await deliver();
    const batches = receiver.taken.length;
    assert.ok(batches >= 3);
    const internal = { code: status.INTERNAL, details: "the disk is full" };
    receiver.decide = () =>
      receiver.requests === batches + 2 ? protocol === "grpc" ? internal : 500 : receiver.success;
    await deliver();
    assert.equal(receiver.taken.length, 2 * batches - 1);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      /^telemetry: some metrics cannot be delivered to the Collector: .*(500|INTERNAL).*; recording goes on, and the next delivery makes up for it$/,
    );
    assert.match(exporter.undelivered()!, /^telemetry: some of the last metrics could not be /);
    const missing = protocol === "http/json"
      ? LABEL_SETS - seriesOf(receiver.taken.slice(batches)).length
      : undefined;
    await deliver();
    const [, late] = /again, after N s; (\d+) points were late$/.exec(lines[1]!)!;
    if (missing !== undefined) assert.equal(Number(late), missing);
    assert.ok(Number(late) < LABEL_SETS / 2);
    assert.equal(lines.length, 2);
    assert.equal(exporter.undelivered(), undefined);
    await meterProvider.shutdown();
  });
}

/** Delivers to an exporter that answers each batch after some time; never, if that is Infinity. */
async function deliverSlowly(answersAfterMs: (batch: number) => number, deliveryMs: number) {
  const lines: string[] = [];
  const counts: number[] = [];
  const stock: Exporter<ResourceMetrics> = {
    export(batch, done) {
      counts.push(METRICS.count(batch));
      const afterMs = answersAfterMs(counts.length);
      if (Number.isFinite(afterMs)) setTimeout(() => done({ code: 0 }), afterMs);
    },
    shutdown: () => Promise.resolve(),
  };
  const report = (line: string) => lines.push(line.replace(/\d+\.\d s/, "N s"));
  const exporter = new ReportingExporter(METRICS, stock, "the Collector", 200, report, deliveryMs);
  const reader = new PeriodicReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  recordLabels(provider.getMeter("slow"), "a.duration", LABEL_SETS, LONG);
  const startMs = performance.now();
  await provider.forceFlush();
  return {
    lines,
    counts,
    elapsedMs: performance.now() - startMs,
    again: () => provider.forceFlush(),
  };
}

test("after a batch without an answer, the other batches are late at once", async () => {
  let isSilent = true;
  const silentFromSecond = (batch: number) => isSilent && batch > 1 ? Infinity : 0;
  const { lines, counts, again } = await deliverSlowly(silentFromSecond, 10_000);
  assert.equal(counts.length, 2);
  assert.deepEqual(lines, [
    "telemetry: some metrics cannot be delivered to the Collector: no answer within N s; " +
    "recording goes on, and the next delivery makes up for it",
  ]);
  isSilent = false;
  await again();
  assert.deepEqual(lines.slice(1), [
    "telemetry: metrics are delivered to the Collector again, after N s; " +
    `${LABEL_SETS - counts[0]!} points were late`,
  ]);
});

test("a delivery of many slow batches ends in time", async () => {
  const { lines, counts, elapsedMs } = await deliverSlowly(() => 150, 250);
  assert.equal(counts.length, 2);
  assert.ok(elapsedMs < 2000, `${elapsedMs} ms`);
  assert.match(
    lines.join(),
    /some metrics cannot .*: (no answer within|the delivery takes longer)/,
  );
});

test("shutdown delivers all batches", async (t) => {
  const receiver = await LimitedReceiver.start(t, "grpc");
  const { meter, meterProvider, exporter } = await exportingMetrics(receiver, "grpc");
  recordLabels(meter, "a.duration", LABEL_SETS, `;${LONG}`);
  await meterProvider.shutdown();
  const all = Buffer.concat(receiver.taken).toString("latin1");
  assert.equal(all.match(/\d+;\/acme/g)?.length, LABEL_SETS);
  assert.equal(exporter.undelivered(), undefined);
});
