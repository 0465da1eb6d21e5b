// Tests a Collector that writes to a storage.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";
import { skipWithout, victoriaMetrics } from "../tools.ts";
import { firstUrl } from "./exposition-text.ts";
import { realCollector, realPrometheuses } from "./programs.ts";
import { startCollector } from "./running-collector.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { query } from "./running-stack.ts";
import { RunningVictoriaMetrics } from "./running-victoria-metrics.ts";
import { normalized, shownSeries, storedSeries } from "./stored-series.ts";

const collector = await realCollector();
const { "Prometheus 3": prometheus } = await realPrometheuses();

/** How long the storage is away. By default, the exporter gives up after 5 s. */
const OUTAGE_MS = 10_000;
/** Calls of a client that ends before the storage is back. */
const LAST_CALLS = 20;
const DELIVERY_MS = 60_000;

interface Storage {
  readonly url: string;
  stop(): Promise<void>;
  startAgain(t: TestContext): Promise<void>;
}

const STORAGES: Record<string, [
  executable: string | undefined,
  start: (t: TestContext) => Promise<Storage>,
]> = {
  VictoriaMetrics: [await victoriaMetrics(), RunningVictoriaMetrics.start],
  "Prometheus 3": [
    prometheus,
    async (t) =>
      await RunningPrometheus.start(t, prometheus!, {}, {
        port: await freePort(),
        flags: ["--web.enable-remote-write-receiver"],
        // What was sent before the Collector was killed is sent again.
        config: { storage: { tsdb: { out_of_order_time_window: "30m" } } },
      }),
  ],
};

describe("a Collector that writes to a storage", { concurrency: true }, () => {
  for (const [name, [executable, start]] of Object.entries(STORAGES)) {
    test(
      `${name} is away for ${OUTAGE_MS / 1000} s and the Collector is killed: no count is lost`,
      {
        skip: skipWithout(collector, "the Collector") || skipWithout(executable, name),
        timeout: 240_000,
      },
      async (t) => {
        const storage = await start(t);
        const queue = await mkdtemp(join(tmpdir(), "remote-write-"));
        t.after(() => rm(queue, { recursive: true, force: true }));
        const options = {
          overlays: ["stack/collector/remote-write.yaml"],
          environment: {
            COLLECTOR_REMOTE_WRITE_ENDPOINT: `${storage.url}/api/v1/write`,
            COLLECTOR_QUEUE_DIRECTORY: queue,
          },
        };
        let running = await startCollector(t, options);
        const pushing: Environment = {
          OTEL_METRICS_EXPORTER: "prometheus,otlp",
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${running.ports.http}`,
          OTEL_METRIC_EXPORT_INTERVAL: "500",
        };
        const server = await startServer(t, "node", pushing);
        const client = await startClient(t, "bun", {
          ...pushing,
          ECHO_ADDR: server.address,
          ECHO_QPS: "10",
        });
        await eventually(async () => assert.ok(await calls(storage) > 0), DELIVERY_MS);

        await storage.stop();
        const stoppedAtMs = performance.now();
        const lastWords = await startClient(t, "bun", {
          ...pushing,
          // An export may take as long as the interval.
          OTEL_METRIC_EXPORT_INTERVAL: "60000",
          OTEL_SERVICE_NAME: "last-words",
          ECHO_ADDR: server.address,
          ECHO_COUNT: `${LAST_CALLS}`,
          ECHO_INTERVAL_MS: "0",
        });
        assert.equal(await lastWords.script.exit(), 0);
        assert.equal(lastWords.script.stderr, "", "the Collector took its last export");
        await running.script.stop("SIGKILL");
        running = await startCollector(t, { ...options, ports: running.ports });
        await delay(OUTAGE_MS - (performance.now() - stoppedAtMs));

        await storage.startAgain(t);
        const backAtMs = performance.now();
        await eventually(
          async () => assert.equal(await calls(storage, "last-words"), LAST_CALLS),
          DELIVERY_MS,
        );
        t.diagnostic(`delivered ${((performance.now() - backAtMs) / 1000).toFixed(1)} s later`);

        assert.equal(await client.script.stop(), 0);
        const made = Number(/^ +Calls +(\d+)$/m.exec(client.script.stdout)?.[1]);
        const page = await scrape(firstUrl(server.metricsUrl), {
          accept: "application/openmetrics-text; version=1.0.0",
        });
        await eventually(async () => {
          assert.equal(await calls(storage), made);
          const stored = storedSeries(await query(storage.url, `{job="echo-server"}`));
          assert.deepEqual(normalized(stored), normalized(shownSeries(page)));
        }, DELIVERY_MS);
        const samples = await samplesOf(storage, `grpc_server_call_started_total[5m]`);
        for (const [index, [timeS, value]] of samples.entries()) {
          const [previousS, previous] = samples[index - 1] ?? [timeS, 0];
          assert.ok(value >= previous, `${value} after ${previous}`);
          // There is none while the Collector starts again.
          assert.ok(
            timeS - previousS < OUTAGE_MS / 1000,
            `${timeS - previousS} s without a sample`,
          );
        }
      },
    );
  }
});

/** Returns how many calls a client has started; 0 without a series. */
async function calls({ url }: Storage, job = "echo-client"): Promise<number> {
  // A client that has ended may have a single sample.
  const started = `max_over_time(grpc_client_attempt_started_total{job="${job}"}[5m])`;
  const [sample] = await query(url, started);
  return Number(sample?.value[1] ?? 0);
}

/** Returns the samples of the only series that is selected. */
async function samplesOf({ url }: Storage, selector: string): Promise<[number, number][]> {
  const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: selector })}`);
  const { data } = await response.json() as { data: { result: { values: [number, string][] }[] } };
  assert.equal(data.result.length, 1);
  return data.result[0]!.values.map(([timeS, value]) => [timeS, Number(value)]);
}
