/** promtool and a strict OpenMetrics parser accept the metrics of the scripts. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { openMetricsParser, promtool, skipWithout } from "../tools.ts";

const checker = await promtool();
const python = await openMetricsParser();

/** A Python program that prints the number of samples of each family. */
const PARSE = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, len(family.samples))
`;

for (const runtime of RUNTIMES) {
  test(`${runtime}: promtool reports no problem`, {
    skip: skipWithout(checker, "promtool"),
  }, async (t) => {
    for (const url of await scriptsAfterLoad(t, runtime)) {
      const input = await scrape(url);
      const { status, stdout, stderr } = spawnSync(checker!, ["check", "metrics"], {
        input,
        encoding: "utf8",
      });
      assert.equal(stdout + stderr, "");
      assert.equal(status, 0);
    }
  });

  test(`${runtime}: a strict OpenMetrics parser reads every family`, {
    skip: skipWithout(python, "prometheus-client"),
  }, async (t) => {
    for (const url of await scriptsAfterLoad(t, runtime)) {
      const input = await scrape(url, { accept: "application/openmetrics-text; version=1.0.0" });
      const { stdout, stderr } = spawnSync(python!, ["-c", PARSE], { input, encoding: "utf8" });
      assert.equal(stderr, "");
      const families = [...input.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
      assert.ok(families.length > 10);
      assert.deepEqual(
        stdout.trimEnd().split("\n").map((line) => line.split(" ").slice(0, 2)),
        families.map(([, name, type]) => [name, type]),
      );
    }
  });
}

/** Returns `/metrics` of a server and of a client that has called it a hundred times. */
async function scriptsAfterLoad(t: TestContext, runtime: Runtime): Promise<string[]> {
  const server = await startServer(t, runtime);
  const client = await startClient(t, runtime, {
    ECHO_ADDR: server.address,
    ECHO_METHOD: "BidirectionalStreamingEcho",
    ECHO_CONCURRENCY: "10",
  });
  await eventually(async () => {
    assert.match(
      await scrape(server.metricsUrl),
      /^grpc_server_call_duration_seconds_count\{.*\} \d{3,}$/m,
    );
  }, 30_000);
  return [server.metricsUrl, client.metricsUrl];
}
