// Tests with a real Prometheus 3 that the first value of a series counts as an increase.

import assert from "node:assert/strict";
import { test } from "node:test";
import { echoClient, unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { RUNTIMES, startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { prometheus3 } from "./prometheus-3.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { query } from "./running-stack.ts";

/** The longest interval between two scrapes that keeps the test short. */
const INTERVAL_S = 4;
const PATIENCE_MS = 60_000;

/** Every kind of series that a single call starts. */
const STARTED = {
  counter: "grpc_server_call_started_total",
  "native histogram": "grpc_server_call_duration_seconds",
  "classic histogram": "grpc_server_call_rcvd_total_compressed_message_size_bytes_count",
};

const executable = await prometheus3();

test("what occurred once is an increase of one, from every runtime", {
  skip: skipWithout(executable, "Prometheus 3"),
  timeout: 180_000,
}, async (t) => {
  assert.ok(executable, "Prometheus 3 is missing");
  const environment = { GRPC_METRICS_NATIVE_HISTOGRAMS: "true" };
  const servers = await Promise.all(
    RUNTIMES.map((runtime) => startServer(t, runtime, environment)),
  );
  const pages = servers.map(({ metricsUrl }) => metricsUrl);
  const prometheus = await RunningPrometheus.start(t, executable, { servers: pages }, {
    config: {
      global: { scrape_interval: `${INTERVAL_S}s`, scrape_native_histograms: true },
      rule_files: [],
    },
    flags: ["--enable-feature=created-timestamp-zero-ingestion"],
  });
  const ask = (expression: string) => query(prometheus.url, expression);

  for (const [i, { address }] of servers.entries()) {
    const instance = new URL(pages[i]!).host;
    const lastScrape = async () => {
      const [sample] = await ask(`timestamp(process_start_time_seconds{instance="${instance}"})`);
      return Number(sample?.value[1] ?? NaN);
    };
    // Far from the next scrape. A series that is scraped as soon as it starts does not show that.
    const before = await eventually(async () => {
      const time = await lastScrape();
      assert.ok(time > 0, "not scraped yet");
      return time;
    }, PATIENCE_MS);
    await eventually(async () => assert.ok(await lastScrape() > before), PATIENCE_MS);
    const client = echoClient(address, {});
    assert.match(await unary(client, "once"), /^once/);
    client.close();
  }

  for (const [kind, name] of Object.entries(STARTED)) {
    await t.test(kind, () =>
      eventually(async () => {
        const increase = `increase(${name}[2m])`;
        const samples = await ask(kind.startsWith("n") ? `histogram_count(${increase})` : increase);
        assert.equal(samples.length, RUNTIMES.length);
        // Prometheus extends the increase up to the end of the range.
        for (const { metric, value: [, value] } of samples) {
          assert.ok(Number(value) >= 1 && Number(value) < 1.5, `${metric["instance"]}: ${value}`);
        }
      }, PATIENCE_MS));
  }
  // An observed series would get its zero after its first sample.
  for (const name of [...Object.values(STARTED), "process_cpu_seconds_total"]) {
    await t.test(`${name} has no reset`, async () => {
      const [sample] = await ask(`sum(resets(${name}[2m]))`);
      assert.equal(sample?.value[1], "0");
    });
  }
});
