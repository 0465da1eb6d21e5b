// The real Collector takes 4 MiB over gRPC. More than that must arrive, each series once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { exportingMetrics } from "../telemetry/otlp/exporting.ts";
import { skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();
const options = { skip: skipWithout(collector, "the Collector"), timeout: 120_000 };

/** The most label sets that the plugin gives a metric, without those of broken text. */
const LABEL_SETS = 1997;
const LONG = "x".repeat(900);
const COUNTERS = ["a", "b", "c"];

test(
  "more than 4 MiB of metrics with broken text among them arrive over gRPC",
  options,
  async (t) => {
    const { ports, metricsUrl } = await startCollector(t);
    const receiver = { url: `http://127.0.0.1:${ports.grpc}` };
    const { meter, deliver, lines, meterProvider } = await exportingMetrics(receiver, "grpc");
    for (const name of COUNTERS) {
      const counter = meter.createCounter(name);
      for (let i = 0; i < LABEL_SETS; i++) counter.add(i, { method: `${i}${LONG}` });
      counter.add(1, { method: "\u{1f600}".slice(0, 1) });
      counter.add(4, { method: "\u{1f600}".slice(1) }); // left out, as on /metrics
    }
    await deliver();
    assert.deepEqual(lines, []);
    await eventually(async () => {
      const text = await scrape(metricsUrl);
      for (const name of COUNTERS) {
        const series = text.match(new RegExp(`^${name}_total\\{.*`, "gm")) ?? [];
        assert.equal(series.length, LABEL_SETS + 1);
        assert.equal(series.filter((line) => line.includes('method="\ufffd"')).length, 1);
        const sum = series.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
        assert.equal(sum, LABEL_SETS * (LABEL_SETS - 1) / 2 + 1);
      }
    }, 30_000);
    await meterProvider.shutdown();
  },
);
