/** What a receiver answers decides whether data counts as delivered, and what is said about it. */
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { status } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { OTLP_PROTOCOLS } from "../../../telemetry/settings/variables.ts";
import type { OtlpProtocol } from "../../../telemetry/settings/variables.ts";
import { exportingMetrics, exportingSpans } from "./exporting.ts";
import { LimitedReceiver } from "./limited-receiver.ts";
import type { Refusal } from "./limited-receiver.ts";

const FAILING = "telemetry: metrics cannot be delivered to the Collector:";
const AGAIN =
  "telemetry: metrics are delivered to the Collector again, after N s; 2 points were late";
const NO_OTLP = "recording goes on, but they do not arrive until this is mended: " +
  "check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL";

/** Collects OpenTelemetry's own log until the test ends. */
function ownLog(t: TestContext): unknown[] {
  const lines: unknown[] = [];
  const log = (...message: unknown[]) => lines.push(message.join(" "));
  diag.setLogger(
    { error: log, warn: log, info: log, debug: log, verbose: log },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  t.after(() => diag.disable());
  return lines;
}

/** Starts metrics with one data point. */
async function start(t: TestContext, protocol: OtlpProtocol) {
  const receiver = await LimitedReceiver.start(t, protocol);
  const exporting = await exportingMetrics(receiver, protocol);
  exporting.meter.createCounter("calls").add(1);
  return { receiver, ...exporting };
}

const FOREIGN: readonly [what: string, answer: Buffer, shown: string][] = [
  [
    "a page",
    Buffer.from("<!DOCTYPE html><html><body>Log in</body></html>"),
    "<!DOCTYPE html><htm…",
  ],
  ["a page after a line feed", Buffer.from("\n<html></html>"), "\\n<html></html>"],
  ["a word", Buffer.from("OK"), "OK"],
  ["text that is valid protobuf", Buffer.from("p1x1"), "p1x1"],
  ["JSON of another kind", Buffer.from('{"status":"ok"}'), '{"status":"ok"}'],
  ["a JSON array", Buffer.from('[{"id":1}]'), '[{"id":1}]'],
  ["JSON null", Buffer.from("null"), "null"],
  ["random bytes", Buffer.from([0xff, 0x07, 0x80, 0x80]), "�\\u{7}��"],
];

for (const protocol of OTLP_PROTOCOLS) {
  for (const [what, answer, shown] of FOREIGN) {
    test(`${protocol}: ${what} costs one line and does not count as delivered`, async (t) => {
      const own = ownLog(t);
      const { receiver, deliver, lines, exporter } = await start(t, protocol);
      receiver.decide = () => answer;
      await deliver();
      await deliver();
      assert.deepEqual(lines, [
        `${FAILING} it answered with something that is no OTLP: ${shown}; ${NO_OTLP}`,
      ]);
      assert.match(exporter.undelivered()!, /something that is no OTLP/);
      receiver.decide = () => receiver.success;
      await deliver();
      assert.deepEqual(lines.slice(1), [AGAIN]);
      assert.equal(exporter.undelivered(), undefined);
      assert.deepEqual(own, []);
    });
  }

  for (const answer of ["", "{}", ' {"partialSuccess": null} ', '{"partialSuccess":{}}']) {
    test(`${protocol}: the answer ${JSON.stringify(answer)} is success`, async (t) => {
      const own = ownLog(t);
      const { receiver, deliver, lines, exporter } = await start(t, protocol);
      receiver.decide = () => Buffer.from(answer);
      await deliver();
      assert.deepEqual(lines, []);
      assert.deepEqual(own, []);
      assert.equal(exporter.undelivered(), undefined);
    });
  }

  test(`${protocol}: rejected points cost a line, and another when all are taken`, async (t) => {
    const own = ownLog(t);
    const { receiver, meter, deliver, lines } = await start(t, protocol);
    meter.createCounter("others").add(1);
    receiver.decide = () =>
      protocol === "http/json"
        ? Buffer.from('{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"too\\nold"}}')
        : Buffer.from("\x0a\x0b\x08\x01\x12\x07too\nold");
    await deliver();
    await deliver();
    receiver.decide = () => receiver.success;
    await deliver();
    await deliver();
    assert.deepEqual(lines, [
      "telemetry: the Collector takes metrics only in part: it rejects 1 of 2 points: too\\nold",
      "telemetry: the Collector takes all metrics again, after N s; it rejected 2 points",
    ]);
    assert.deepEqual(own, []);
  });

  test(`${protocol}: rejected spans cost a line`, async (t) => {
    const receiver = await LimitedReceiver.start(t, protocol);
    const { tracer, deliver, lines, tracerProvider } = await exportingSpans(receiver, protocol);
    receiver.decide = () =>
      protocol === "http/json"
        ? Buffer.from('{"partialSuccess":{"rejectedSpans":1}}')
        : Buffer.from("\x0a\x02\x08\x01");
    tracer.startSpan("a").end();
    await deliver();
    assert.deepEqual(lines, [
      "telemetry: the Collector takes spans only in part: it rejects 1 of 1 spans: it does not say why",
    ]);
    await tracerProvider.shutdown();
  });

  test(`${protocol}: a warning beside success goes to OpenTelemetry's log`, async (t) => {
    const own = ownLog(t);
    const { receiver, deliver, lines } = await start(t, protocol);
    receiver.decide = () =>
      protocol === "http/json"
        ? Buffer.from('{"partialSuccess":{"errorMessage":"move on"}}')
        : Buffer.from("\x0a\x09\x12\x07move on");
    await deliver();
    assert.deepEqual(lines, []);
    assert.deepEqual(own, ["the Collector takes the metrics, but warns: move on"]);
  });
}

const HEALS = "recording goes on, and the next delivery makes up for it";
const lasting = (remedy: string) =>
  `recording goes on, but they do not arrive until this is mended: ${remedy}`;
const LOG = lasting("the log there says why");
const ACCESS = lasting("check the credentials in OTEL_EXPORTER_OTLP_HEADERS");
const SIZE = lasting("raise the limit there for the size of a request");
const grpc = (code: status, details = "") => ({ code, details });

const REFUSALS: readonly [what: string, refusal: Refusal, consequence: string][] = [
  ["HTTP 302", 302, NO_OTLP],
  ["HTTP 400", 400, LOG],
  ["HTTP 401", 401, ACCESS],
  ["HTTP 403", 403, ACCESS],
  ["HTTP 404", 404, NO_OTLP],
  ["HTTP 405", 405, NO_OTLP],
  ["HTTP 413", 413, SIZE],
  ["HTTP 415", 415, NO_OTLP],
  ["HTTP 422", 422, LOG],
  ["HTTP 500", 500, HEALS],
  ["HTTP 501", 501, NO_OTLP],
  ["INVALID_ARGUMENT", grpc(status.INVALID_ARGUMENT, "bad"), LOG],
  ["UNAUTHENTICATED", grpc(status.UNAUTHENTICATED, "who"), ACCESS],
  ["PERMISSION_DENIED", grpc(status.PERMISSION_DENIED, "no"), ACCESS],
  ["UNIMPLEMENTED", grpc(status.UNIMPLEMENTED, "what"), NO_OTLP],
  ["INTERNAL", grpc(status.INTERNAL, "oh"), HEALS],
  ["UNAVAILABLE", grpc(status.UNAVAILABLE, "later"), HEALS],
  ["a quota", grpc(status.RESOURCE_EXHAUSTED, "quota"), HEALS],
  [
    "Go's limit",
    grpc(
      status.RESOURCE_EXHAUSTED,
      "grpc: received message larger than max (5000000 vs. 4194304)",
    ),
    SIZE,
  ],
  [
    "Java's limit",
    grpc(status.RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size 4194304: 5000000"),
    SIZE,
  ],
  [
    "Rust's limit",
    grpc(
      status.OUT_OF_RANGE,
      "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
    ),
    SIZE,
  ],
];

for (const [what, refusal, consequence] of REFUSALS) {
  test(`after ${what}, the line says what is true`, async (t) => {
    const protocol = typeof refusal === "number" ? "http/protobuf" : "grpc";
    const { receiver, deliver, lines } = await start(t, protocol);
    receiver.decide = () => refusal;
    await deliver();
    await deliver();
    assert.equal(lines.length, 1);
    assert.ok(lines[0]!.startsWith(FAILING), lines[0]!);
    assert.ok(lines[0]!.endsWith(`; ${consequence}`), lines[0]!);
    receiver.decide = () => receiver.success;
    await deliver();
    assert.deepEqual(lines.slice(1), [AGAIN]);
  });
}

test("an outage that heals may become one that does not, which is said once more", async (t) => {
  const { receiver, deliver, lines } = await start(t, "http/json");
  for (const code of [500, 500, 401, 401, 500]) {
    receiver.decide = () => code;
    await deliver();
  }
  receiver.decide = () => receiver.success;
  await deliver();
  assert.deepEqual(lines, [
    `${FAILING} it answered with HTTP 500 Internal Server Error; ${HEALS}`,
    `${FAILING} it answered with HTTP 401 Unauthorized; ${ACCESS}`,
    AGAIN.replace("2 points", "5 points"),
  ]);
});
