import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLatency, formatSummary } from "../../echo/summary.ts";

test("the summary of a mixed run", () => {
  const text = formatSummary({
    calls: 12_345,
    succeeded: 12_300,
    errorsByCode: new Map([["CANCELLED", 5], ["UNAVAILABLE", 40]]),
    elapsedSeconds: 10.0049,
    qps: 1233.8954,
    latency: {
      min: 0.000345,
      mean: 0.0012345,
      p50: 0.001,
      p90: 0.0123,
      p95: 0.123,
      p99: 0.999,
      max: 2.5,
    },
  });
  assert.equal(
    text,
    `Summary:
  Calls      12345
  Succeeded  12300
  Duration   10.00 s
  QPS        1233.90

Latency:
  min   345 µs
  mean  1.23 ms
  p50   1.00 ms
  p90   12.3 ms
  p95   123 ms
  p99   999 ms
  max   2.50 s

Errors:
  UNAVAILABLE  40
  CANCELLED    5
`,
  );
});

test("the summary of a run without a succeeded call, and without calls", () => {
  const none = { calls: 0, succeeded: 0, elapsedSeconds: 0, qps: 0, latency: undefined };
  const head = "Summary:\n  Calls      0\n  Succeeded  0\n  Duration   0.00 s\n  QPS        0.00\n";
  assert.equal(formatSummary({ ...none, errorsByCode: new Map() }), head);
  assert.equal(
    formatSummary({ ...none, errorsByCode: new Map([["UNAVAILABLE", 3]]) }),
    `${head}\nErrors:\n  UNAVAILABLE  3\n`,
  );
});

test("latencies have three digits", () => {
  const expected: ReadonlyArray<readonly [number, string]> = [
    [0, "0.00 µs"],
    [1.234e-6, "1.23 µs"],
    [999e-6, "999 µs"],
    [1e-3, "1.00 ms"],
    [0.0999, "99.9 ms"],
    [1, "1.00 s"],
    [75.04, "75.0 s"],
    [3600, "3600 s"],
  ];
  for (const [seconds, text] of expected) assert.equal(formatLatency(seconds), text);
});
