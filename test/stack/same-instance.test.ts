// Tests two processes that report the same instance id.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RunningPrometheus } from "./running-prometheus.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl, readExposition } from "./exposition-text.ts";
import { realCollector, realPrometheus } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();
const prometheus = await realPrometheus();
const START_TIME = "process_start_time_seconds";
const FIRING = 'ALERTS{alertname="ServiceInstanceIdNotUnique",alertstate="firing"}';

test(
  "two processes with the same instance id overwrite each other, and an alert fires",
  {
    skip: skipWithout(collector, "the Collector") || skipWithout(prometheus, "Prometheus"),
    timeout: 240_000,
  },
  async (t) => {
    const running = await startCollector(t);
    const pushing = {
      OTEL_METRICS_EXPORTER: "prometheus,otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${running.ports.http}`,
    };
    const same = { ...pushing, OTEL_RESOURCE_ATTRIBUTES: "service.instance.id=one" };
    // With exports at the same time, one process would hide the other forever.
    const twins = [
      await startServer(t, "deno", { ...same, OTEL_METRIC_EXPORT_INTERVAL: "1500" }),
      await startServer(t, "bun", { ...same, OTEL_METRIC_EXPORT_INTERVAL: "2100" }),
    ];
    // These two generate their own ids.
    const others = [
      await startServer(t, "node", { ...pushing, OTEL_METRIC_EXPORT_INTERVAL: "1500" }),
      await startServer(t, "node", { ...pushing, OTEL_METRIC_EXPORT_INTERVAL: "2100" }),
    ];

    const startTimes = await Promise.all(twins.map(async ({ metricsUrl }) => {
      const { series } = readExposition(await scrape(firstUrl(metricsUrl)));
      return [...series].find(([key]) => key.startsWith(START_TIME))![1];
    }));
    const seen = new Set<string>();
    await eventually(async () => {
      const text = await scrape(running.metricsUrl);
      const values = [...readExposition(text, 'instance="one"').series]
        .filter(([key]) => key.startsWith(START_TIME)).map(([, value]) => value);
      assert.equal(values.length, 1);
      seen.add(values[0]!);
      assert.deepEqual([...seen].sort(), startTimes.toSorted());
    }, 30_000);

    const watching = await RunningPrometheus.start(t, prometheus!, {
      collector: [running.metricsUrl],
    });
    await eventually(
      async () => assert.deepEqual(await watching.labelValues("instance", FIRING), ["one"]),
      120_000,
    );
    assert.deepEqual(
      await watching.query(`count(count by (instance) (${START_TIME}{job="echo-server"}))`),
      [1 + others.length],
    );
    // Neither the processes nor the Collector notice it.
    for (const { script } of [...twins, ...others]) assert.equal(script.stderr, "");
    assert.doesNotMatch(running.script.stderr, /warn|error/i);
  },
);
