// Tests programs that push straight to Prometheus 3, with the settings of docs/scaling.md.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { OtlpProtocol } from "../../telemetry/settings/variables.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { PROJECT, RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl } from "./exposition-text.ts";
import { realCollector, realPrometheuses } from "./programs.ts";
import { startCollector } from "./running-collector.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { query } from "./running-stack.ts";
import { normalized, shownSeries, storedSeries } from "./stored-series.ts";

const { "Prometheus 3": executable } = await realPrometheuses();
const collector = await realCollector();

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0";
const CALLS = 7;

const document = readFileSync(join(PROJECT, "docs/scaling.md"), "utf8");
const [settings = ""] = /(?<=^```yaml\n# prometheus\.yml\n)otlp:\n[^`]*/m.exec(document) ?? [];
const [overlay = ""] = /(?<=^```yaml\n)exporters:\n {2}otlp_http:[^`]*/m.exec(document) ?? [];

test("Prometheus 3 receives all series by OTLP", {
  skip: skipWithout(executable, "Prometheus 3") || skipWithout(collector, "the Collector"),
  timeout: 120_000,
}, async (t) => {
  assert.ok(executable, "Prometheus 3 is missing");
  assert.match(settings, /translation_strategy/);
  assert.match(overlay, /prometheus\.example\.com/);
  const prometheus = await RunningPrometheus.start(t, executable, {}, {
    yaml: settings,
    flags: ["--web.enable-otlp-receiver"],
  });
  for (const runtime of RUNTIMES) {
    const endpoint = `${prometheus.url}/api/v1/otlp/v1/metrics`;
    await assertReceives(t, prometheus, runtime, endpoint, runtime);
  }
  const folder = await mkdtemp(join(tmpdir(), "otlp-receiver-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "overlay.yaml");
  await writeFile(file, overlay.replace("https://prometheus.example.com", prometheus.url));
  const { ports } = await startCollector(t, { overlays: [file] });
  const endpoint = `http://127.0.0.1:${ports.http}/v1/metrics`;
  await assertReceives(t, prometheus, "node", endpoint, "through a Collector");
});

/** Starts a server and a client that push, and waits for their series. */
async function assertReceives(
  t: TestContext,
  prometheus: RunningPrometheus,
  runtime: Runtime,
  endpoint: string,
  what: string,
): Promise<void> {
  const pushing = (protocol: OtlpProtocol) => ({
    OTEL_METRICS_EXPORTER: "prometheus,otlp",
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint,
    OTEL_METRIC_EXPORT_INTERVAL: "2000",
    OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${what}`,
  });
  const server = await startServer(t, runtime, pushing("http/json"));
  const client = await startClient(t, runtime, {
    ...pushing("http/protobuf"),
    ECHO_ADDR: server.address,
    ECHO_CONCURRENCY: `${CALLS}`,
    ECHO_INTERVAL_MS: "3600000", // each worker makes one call, then pauses
  });
  for (const [name, script] of Object.entries({ server, client })) {
    await t.test(`${what}, ${name}`, async () => {
      await eventually(async () => {
        const page = await scrape(firstUrl(script.metricsUrl), { accept: OPEN_METRICS });
        assert.equal(/^grpc_\w+_duration_seconds_count\{.*\} (\d+)/m.exec(page)?.[1], `${CALLS}`);
        const samples = await query(prometheus.url, `{job="echo-${name}", instance="${what}"}`);
        assert.deepEqual(normalized(storedSeries(samples)), normalized(shownSeries(page)));
      }, 30_000);
      assert.equal(script.script.stderr, "");
    });
  }
}
