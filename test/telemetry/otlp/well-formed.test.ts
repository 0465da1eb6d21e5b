/** Texts with lone halves of characters leave as `/metrics` shows them, and no series leaves twice. */
import { diag, DiagLogLevel, SpanStatusCode } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricReader, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import { PrometheusReader, renderPrometheusText } from "../../../prometheus/mod.ts";
import { wellFormedMetrics, wellFormedSpans } from "../../../telemetry/otlp/well-formed.ts";
import { OTLP_PROTOCOLS } from "../../../telemetry/settings/variables.ts";
import { exportingMetrics, exportingSpans, seriesOf } from "./exporting.ts";
import { LimitedReceiver } from "./limited-receiver.ts";

const [HIGH, LOW] = ["\u{1f600}".slice(0, 1), "\u{1f600}".slice(1)];

/** The UTF-8 of U+FFFD, in hexadecimal. */
const REPLACEMENT = "efbfbd";

function occurrences(bodies: readonly Buffer[], hex: string): number {
  return Buffer.concat(bodies).toString("hex").split(hex).length - 1;
}

for (const protocol of OTLP_PROTOCOLS) {
  test(`${protocol}: label sets that become equal leave as one series`, async (t) => {
    const warnings: unknown[] = [];
    const log = (...message: unknown[]) => warnings.push(message.join(" "));
    diag.setLogger(
      { error: log, warn: log, info: log, debug: log, verbose: log },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    t.after(() => diag.disable());
    const receiver = await LimitedReceiver.start(t, protocol);
    const { meter, deliver, lines, meterProvider } = await exportingMetrics(receiver, protocol);
    const counter = meter.createCounter("calls", { description: `help ${HIGH}`, unit: HIGH });
    counter.add(1, { who: `${HIGH}`, [`key${LOW}`]: "k" });
    counter.add(4, { who: `${LOW}`, [`key${LOW}`]: "k" });
    counter.add(2, { who: "\u{1f600}", [`key${LOW}`]: "k" });
    await deliver();
    assert.equal(occurrences(receiver.taken, Buffer.from("\\ud").toString("hex")), 0);
    // One in the description, one in the unit, two in one series, one in the other.
    assert.equal(occurrences(receiver.taken, REPLACEMENT), 5);
    if (protocol === "http/json") {
      const prefix = "service.name=exporting exporting 1.0 calls";
      assert.deepEqual(seriesOf(receiver.taken), [
        `${prefix} who=� key�=k`,
        `${prefix} who=\u{1f600} key�=k`,
      ]);
    }
    assert.deepEqual(lines, []);
    assert.deepEqual(warnings, [
      "The metric calls of some attributes is not exported: their labels are not unique",
    ]);
    await meterProvider.shutdown();
  });

  test(`${protocol}: spans leave with well-formed texts`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol);
    const { tracer, deliver, lines, tracerProvider } = await exportingSpans(receiver, protocol);
    const linked = tracer.startSpan("linked").spanContext();
    tracer.startSpan(`name ${HIGH}`, {
      attributes: { [`key${HIGH}`]: LOW, list: [LOW, "fine"] },
      links: [{ context: linked, attributes: { link: HIGH } }],
    })
      .addEvent(`event ${LOW}`, { text: HIGH })
      .setStatus({ code: SpanStatusCode.ERROR, message: LOW })
      .end();
    await deliver();
    assert.equal(occurrences(receiver.taken, Buffer.from("\\ud").toString("hex")), 0);
    assert.equal(occurrences(receiver.taken, REPLACEMENT), 8);
    assert.deepEqual(lines, []);
    await tracerProvider.shutdown();
  });
}

/** Returns what a reader collects. */
async function collected(reader: MetricReader): Promise<ResourceMetrics> {
  return (await reader.collect()).resourceMetrics;
}

test("pull and push keep the same one of several equal label sets", async () => {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  const counter = provider.getMeter("m").createCounter("calls");
  counter.add(4, { who: `${LOW}` });
  counter.add(1, { who: `${HIGH}` });
  const text = renderPrometheusText(await reader.collect()).toString();
  const [pulled] = /(?<=^calls_total\{.*\} ).*/m.exec(text)!;
  const pushed = wellFormedMetrics(await collected(reader)).scopeMetrics[0]!.metrics[0]!;
  assert.deepEqual(pushed.dataPoints.map(({ value }) => value), [Number(pulled)]);
  await provider.shutdown();
});

test("resource and scope become well-formed, and stay the same objects in each export", async () => {
  const reader = new PrometheusReader();
  const resource = resourceFromAttributes({ "service.name": HIGH });
  const provider = new MeterProvider({ resource, readers: [reader] });
  provider.getMeter(`m${LOW}`, `v${LOW}`).createCounter("calls").add(1);
  const first = wellFormedMetrics(await collected(reader));
  assert.deepEqual(first.resource.attributes, { "service.name": "�" });
  const { name, version } = first.scopeMetrics[0]!.scope;
  assert.deepEqual([name, version], ["m�", "v�"]);
  const second = wellFormedMetrics(await collected(reader));
  assert.equal(second.resource, first.resource);
  assert.equal(second.scopeMetrics[0]!.scope, first.scopeMetrics[0]!.scope);
  await provider.shutdown();

  const spans: ReadableSpan[] = [];
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [{
      onStart() {},
      onEnd: (span) => void spans.push(span),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    }],
  });
  const tracer = tracers.getTracer(HIGH!);
  tracer.startSpan("a").end();
  tracer.startSpan("b").end();
  const [a, b] = wellFormedSpans(spans);
  assert.deepEqual(a!.resource.attributes, { "service.name": "�" });
  assert.equal(a!.resource, b!.resource);
  assert.equal(a!.instrumentationScope.name, "�");
  assert.equal(a!.instrumentationScope, b!.instrumentationScope);
  assert.equal(a!.spanContext().spanId, spans[0]!.spanContext().spanId);
  assert.deepEqual(a!.duration, spans[0]!.duration);
});

test("well-formed data stays the same object", async () => {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter("m").createCounter("calls").add(1, { who: "\u{1f600}" });
  const metrics = await collected(reader);
  assert.equal(wellFormedMetrics(metrics), metrics);
  await provider.shutdown();
});
