import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFloat, formatOpenMetricsFloat } from "../../prometheus/families/numbers.ts";

// value, 0.0.4, OpenMetrics. The fixture "numbers" has 160 more, as values and as bounds.
const TABLE: [number, string, string][] = [
  [0, "0", "0.0"],
  [-0, "0", "0.0"],
  [1, "1", "1.0"],
  [-1, "-1", "-1.0"],
  [0.5, "0.5", "0.5"],
  [100, "100", "100.0"],
  [999999, "999999", "999999.0"],
  [1e6, "1e+06", "1e+06"],
  [1048576, "1.048576e+06", "1.048576e+06"],
  [4294967296, "4.294967296e+09", "4.294967296e+09"],
  [999999.5, "999999.5", "999999.5"],
  [0.0001, "0.0001", "0.0001"],
  [0.00001, "1e-05", "1e-05"],
  [0.00005, "5e-05", "5e-05"],
  [-0.000015, "-1.5e-05", "-1.5e-05"],
  [1e21, "1e+21", "1e+21"],
  [1e100, "1e+100", "1e+100"],
  [5e-324, "5e-324", "5e-324"],
  [Number.MAX_VALUE, "1.7976931348623157e+308", "1.7976931348623157e+308"],
  [Infinity, "+Inf", "+Inf"],
  [-Infinity, "-Inf", "-Inf"],
  [NaN, "NaN", "NaN"],
];

test("numbers are formatted as in client_golang", () => {
  for (const [value, text, openMetrics] of TABLE) {
    assert.equal(formatFloat(value), text);
    assert.equal(formatOpenMetricsFloat(value), openMetrics);
  }
});

test("a formatted number parses back to the same number", () => {
  for (let exponent = -320; exponent <= 308; exponent++) {
    const value = Number(`1.2345678901234567e${exponent}`);
    assert.equal(Number(formatFloat(value)), value);
    assert.equal(Number(formatOpenMetricsFloat(-value)), -value);
  }
});
