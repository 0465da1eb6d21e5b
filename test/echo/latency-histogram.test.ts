import assert from "node:assert/strict";
import { test } from "node:test";
import { LatencyHistogram } from "../../echo/latency-histogram.ts";

const PERCENTS = [0.1, 1, 10, 50, 75, 90, 95, 99, 99.9, 100];

/** Returns the exact nearest-rank percentile, to compare with. */
function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1]!;
}

const distributions: Record<string, () => number> = {
  "uniform up to 1 s": () => 1e-6 + Math.random(),
  "log-uniform from 1 us to 1 h": () => 1e-6 * 3.6e9 ** Math.random(),
  "exponential around 2 ms": () => 1e-6 - 2e-3 * Math.log(1 - Math.random()),
  "two values": () => (Math.random() < 0.5 ? 0.001 : 10),
  "one value": () => 0.0123,
};

for (const [name, draw] of Object.entries(distributions)) {
  for (const size of [1, 2, 10, 999, 20_000]) {
    test(`percentiles of ${size} values, ${name}, are within 1 % of the exact ones`, () => {
      const values = Array.from({ length: size }, draw);
      const histogram = new LatencyHistogram();
      for (const value of values) histogram.record(value);
      for (const percent of PERCENTS) {
        const expected = percentile(values, percent);
        const actual = histogram.percentile(percent);
        assert.ok(
          Math.abs(actual / expected - 1) <= 0.01,
          `p${percent}: ${actual}, expected ${expected}`,
        );
      }
      assert.equal(histogram.count, size);
      assert.equal(histogram.min, Math.min(...values));
      assert.equal(histogram.max, Math.max(...values));
      const mean = values.reduce((sum, value) => sum + value, 0) / size;
      assert.ok(Math.abs(histogram.mean / mean - 1) < 1e-9);
    });
  }
}

test("values out of range are counted: 0, nanoseconds, a day", () => {
  const histogram = new LatencyHistogram();
  for (const value of [0, 1e-9, 86_400, 86_400]) histogram.record(value);
  assert.equal(histogram.count, 4);
  assert.equal(histogram.min, 0);
  assert.equal(histogram.max, 86_400);
  assert.ok(histogram.percentile(50) <= 1.02e-6);
  assert.ok(histogram.percentile(100) >= 3500);
});

test("without values there are no percentiles", () => {
  assert.ok(Number.isNaN(new LatencyHistogram().percentile(50)));
});

test("since(copy) has the values recorded later", () => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < 1000; i++) histogram.record(0.001);
  const earlier = histogram.copy();
  for (let i = 0; i < 10; i++) histogram.record(0.5);
  const recent = histogram.since(earlier);
  assert.equal(earlier.count, 1000);
  assert.equal(recent.count, 10);
  assert.ok(Math.abs(recent.percentile(1) - 0.5) <= 0.005);
  assert.ok(Math.abs(recent.mean - 0.5) < 1e-9);
  assert.ok(Math.abs(histogram.percentile(50) - 0.001) <= 1e-5);
});
