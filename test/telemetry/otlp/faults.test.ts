import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetricExporter } from "../../../telemetry/otlp/exporters.ts";
import { METRICS, ReportingExporter } from "../../../telemetry/otlp/reporting-exporter.ts";
import { eventually, eventuallyEqual } from "../../support/eventually.ts";
import { accept, OtlpReceiver } from "./otlp-receiver.ts";
import type { Answer } from "./otlp-receiver.ts";

const TICK_MS = 100;

/** Pushes a counter to a port every {@link TICK_MS} milliseconds, and keeps the log lines. */
async function push(port: number, timeoutMs = TICK_MS) {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${port}`;
  const lines: string[] = [];
  const exporter = new ReportingExporter(
    METRICS,
    await createMetricExporter("http/json", timeoutMs),
    "the Collector",
    timeoutMs,
    (line) => lines.push(line.replace(/\d+\.\d s/, "N s").replace(/\d+ points/, "N points")),
  );
  const interval = Math.max(TICK_MS, timeoutMs);
  const meterProvider = new MeterProvider({
    readers: [
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: interval,
        exportTimeoutMillis: interval,
      }),
    ],
  });
  const counter = meterProvider.getMeter("test").createCounter("calls");
  return { lines, exporter, meterProvider, counter };
}

const AGAIN =
  "telemetry: metrics are delivered to the Collector again, after N s; N points were late";

function failing(reason: string): string {
  return `telemetry: metrics cannot be delivered to the Collector: ${reason}; ` +
    "recording goes on, and the next delivery makes up for it";
}

test("a Collector that is down at start costs one line, another when it is up, and no data", async () => {
  const receiver = new OtlpReceiver();
  const port = await receiver.listen();
  await receiver.close();
  const { lines, counter, meterProvider } = await push(port);
  counter.add(3);
  await eventuallyEqual(() => lines, [failing(`connect ECONNREFUSED 127.0.0.1:${port}`)]);
  counter.add(4);

  const back = new OtlpReceiver();
  await back.listen(port);
  await eventuallyEqual(() => back.counters.get("calls"), 7);
  await eventuallyEqual(() => lines.slice(1), [AGAIN]);
  await meterProvider.shutdown();
  await back.close();
  assert.equal(lines.length, 2);
});

const REFUSALS: readonly [what: string, answer: Answer, reason: RegExp][] = [
  [
    "400",
    (response) => response.writeHead(400).end("bad"),
    /it answered with HTTP 400 Bad Request/,
  ],
  [
    "429 with Retry-After",
    (response) => response.writeHead(429, { "retry-after": "30" }).end(),
    /it answered that it is busy or overloaded \(HTTP 429, 502, 503 or 504\)/,
  ],
  [
    "503",
    (response) => response.writeHead(503).end(),
    /it answered that it is busy or overloaded \(HTTP 429, 502, 503 or 504\)/,
  ],
];

for (const [what, answer, reason] of REFUSALS) {
  test(`a Collector that answers ${what} costs one line, and another when it accepts`, async () => {
    const receiver = new OtlpReceiver();
    receiver.answer = answer;
    const { lines, counter, meterProvider } = await push(await receiver.listen());
    counter.add(1);
    await eventually(() => assert.ok(receiver.requests >= 3));
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, reason);
    counter.add(1);
    receiver.answer = accept;
    await eventuallyEqual(() => receiver.counters.get("calls"), 2);
    await eventuallyEqual(() => lines.slice(1), [AGAIN]);
    await meterProvider.shutdown();
    await receiver.close();
  });
}

test("an export is repeated at the time that a busy Collector asks for", async () => {
  const receiver = new OtlpReceiver();
  let refusedAt = 0;
  receiver.answer = (response) => {
    refusedAt = performance.now();
    receiver.answer = accept;
    response.writeHead(503, { "retry-after": "1" }).end();
  };
  const { lines, counter, meterProvider } = await push(await receiver.listen(), 3000);
  counter.add(5);
  const flushed = meterProvider.forceFlush();
  await eventuallyEqual(() => receiver.counters.get("calls"), 5);
  await flushed;
  const waitedMs = performance.now() - refusedAt;
  assert.ok(waitedMs >= 900, `came back after ${waitedMs} ms`);
  assert.deepEqual(lines, []);
  await meterProvider.shutdown();
  await receiver.close();
});

test("an export to a slow Collector is given up in time, and the next one makes up for it", async () => {
  const receiver = new OtlpReceiver();
  const held: (() => void)[] = [];
  receiver.answer = (response) => held.push(() => accept(response));
  const { lines, counter, meterProvider } = await push(await receiver.listen());
  counter.add(1);
  await eventuallyEqual(() => lines.length, 1);
  assert.equal(lines[0], failing("no answer within N s"));
  receiver.answer = accept;
  await eventuallyEqual(() => lines.slice(1), [AGAIN]);
  assert.equal(receiver.counters.get("calls"), 1);
  for (const release of held) release();
  await meterProvider.shutdown();
  await receiver.close();
});

test("after shutdown, the exporter reports data that was not delivered, and why", async () => {
  const receiver = new OtlpReceiver();
  const port = await receiver.listen();
  await receiver.close();
  const { counter, exporter, meterProvider } = await push(port);
  assert.equal(exporter.undelivered(), undefined);
  counter.add(1);
  await meterProvider.shutdown();
  assert.match(
    exporter.undelivered()!,
    /^telemetry: the last metrics could not be delivered to the Collector, failing for \d\.\d s: connect ECONNREFUSED/,
  );
});
