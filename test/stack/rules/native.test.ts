// Tests native histograms, their rules and their dashboard with each version of Prometheus.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nativeFiles } from "../../../stack/native-histograms.ts";
import { hasData } from "../../../stack/queries.ts";
import { eventually } from "../../support/eventually.ts";
import { PROJECT, RUNTIMES, startClient, startServer } from "../../support/script.ts";
import type { Owner } from "../../support/script.ts";
import { skipWithout } from "../../tools.ts";
import { OTLP_PROTOCOLS } from "../../../telemetry/settings/variables.ts";
import { realCollector, realPrometheus, realPrometheuses } from "../programs.ts";
import { startCollector } from "../running-collector.ts";
import { readCells } from "../dashboard/panel-data.ts";
import { readDashboard } from "../dashboard/panels.ts";
import { RunningPrometheus } from "../running-prometheus.ts";
import { CONCURRENCY, DELAY_S, startCalls } from "./all-calls.ts";
import { interpolate, NEEDS_XDS } from "./dashboard.ts";
import type { Choice, Panel } from "./dashboard.ts";

const PATIENCE_MS = 60_000;
const NATIVE = { GRPC_METRICS_NATIVE_HISTOGRAMS: "true" };
/** Calls of each client in the test of counts. */
const CALLS = 7;

const versions = Object.entries(await realPrometheuses());
const found = versions.find(([, executable]) => executable !== undefined)?.[0];
const options = { skip: skipWithout(found, "Prometheus"), timeout: 300_000 };

test("rules and dashboard for native histograms are made of those for classic ones", () => {
  for (const [path, text] of Object.entries(nativeFiles())) {
    const message = `${path} is old: run node stack/native-histograms.ts`;
    assert.equal(readFileSync(join(PROJECT, "stack", path), "utf8"), text, message);
  }
});

test(
  "native and classic histograms are counted exactly, from every runtime",
  options,
  async (t) => {
    const pages = await startCounted(t);
    for (const [name, executable] of versions) {
      await t.test(name, { skip: skipWithout(executable, name) }, async (t) => {
        assert.ok(executable, `${name} is missing`);
        const { url } = await startPrometheus(t, executable, { counted: pages });
        for (
          const [query, expected] of [
            // Servers have native histograms of durations, clients have classic ones.
            ["histogram_count(grpc_server_call_duration_seconds)", CALLS],
            ["grpc_client_call_duration_seconds_count", CALLS],
            [`grpc_client_call_duration_seconds_bucket{le="+Inf"}`, CALLS],
            ["count by (instance) (grpc_client_call_duration_seconds_bucket)", 42],
            // Sizes are never native.
            ["grpc_server_call_rcvd_total_compressed_message_size_bytes_count", CALLS],
            ["count by (instance) (grpc_server_call_duration_seconds_count) or vector(0)", 0],
            ["grpc_server_call_started_total", CALLS],
          ] as const
        ) {
          const times = query.includes("vector(0)") ? 1 : RUNTIMES.length;
          await t.test(query, () =>
            eventually(async () => {
              assert.deepEqual(await valuesOf(url, query), Array(times).fill(expected));
            }, PATIENCE_MS));
        }
      });
    }
  },
);

test("pushed exponential histograms are counted exactly behind the Collector", {
  ...options,
  skip: options.skip || skipWithout(await realCollector(), "the Collector"),
}, async (t) => {
  const { ports, metricsUrl } = await startCollector(t);
  for (const [i, runtime] of RUNTIMES.entries()) {
    const pushing = {
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION:
        "base2_exponential_bucket_histogram",
      OTEL_EXPORTER_OTLP_PROTOCOL: OTLP_PROTOCOLS[i]!,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${
        OTLP_PROTOCOLS[i] === "grpc" ? ports.grpc : ports.http
      }`,
      OTEL_METRIC_EXPORT_INTERVAL: "500",
    };
    const { address } = await startServer(t, runtime, pushing);
    await startClient(t, runtime, {
      ...pushing,
      ECHO_ADDR: address,
      ECHO_CONCURRENCY: `${CALLS}`,
      ECHO_INTERVAL_MS: "3600000",
    });
  }
  for (const [name, executable] of versions) {
    await t.test(name, { skip: skipWithout(executable, name) }, async (t) => {
      assert.ok(executable, `${name} is missing`);
      const { url } = await startPrometheus(t, executable, { collector: [metricsUrl] });
      for (
        const query of [
          "histogram_count(grpc_server_call_duration_seconds)",
          "histogram_count(grpc_client_call_duration_seconds)",
          "grpc_server_call_rcvd_total_compressed_message_size_bytes_count",
        ]
      ) {
        await t.test(query, () =>
          eventually(async () => {
            assert.deepEqual(await valuesOf(url, query), RUNTIMES.map(() => CALLS));
          }, PATIENCE_MS));
      }
    });
  }
});

test("every query and rule for native histograms has results", options, async (t) => {
  const { address, jobs } = await startCalls(t, true);
  for (const [name, executable] of versions) {
    await t.test(name, { skip: skipWithout(executable, name) }, async (t) => {
      assert.ok(executable, `${name} is missing`);
      const prometheus = await startPrometheus(t, executable, jobs);
      const choice: Choice = {
        job: ["echo-client", "echo-server"],
        grpc_method: ["ServerStreamingEcho", "UnaryEcho"].map((method) =>
          `grpc.examples.echo.Echo/${method}`
        ),
        grpc_target: [`dns:///${address}`],
      };
      const rules = await prometheus.rules();
      const recorded = rules.filter(({ type }) => type === "recording");
      const expressions = [
        ...dashboardQueries().map((query) => interpolate(query, choice)),
        ...recorded.map((rule) => rule.name),
        // They are the same for classic histograms.
      ].filter((expression) => !NEEDS_XDS.test(expression));
      for (const expression of expressions) {
        await t.test(expression, () =>
          eventually(async () => {
            assert.ok(await hasData(prometheus.url, expression), "no data");
          }, PATIENCE_MS));
      }
      await t.test("every heatmap has cells of all buckets", async () => {
        const { panels } = readDashboard("grpc-native");
        const end = Math.floor(Date.now() / 1000);
        const times = { start: end - 60, end, step: 1 };
        let heatmaps = 0;
        for (const panel of panels) {
          if (panel.type !== "heatmap") continue;
          heatmaps++;
          const cells = await readCells(panel, (...query) => prometheus.range(...query), times);
          // Calls take a bit longer than the server waits.
          assert.ok(
            cells.some(({ low, high }) => high > DELAY_S && low < 2 * DELAY_S),
            panel.title,
          );
          for (const { low, high, value } of cells) {
            assert.ok(low < high && value >= 0, panel.title);
          }
        }
        assert.equal(heatmaps, 3);
      });
      await t.test("every rule can be evaluated", () =>
        eventually(async () => {
          const failed = (await prometheus.rules()).filter(({ health }) => health !== "ok");
          assert.deepEqual(failed.map(({ name, lastError }) => `${name}: ${lastError}`), []);
        }, PATIENCE_MS));

      await t.test("the results are right", () =>
        eventually(async () => {
          const one = async (expression: string) => {
            const values = await valuesOf(prometheus.url, expression);
            assert.equal(values.length, 1, expression);
            return values[0]!;
          };
          const unary = `{grpc_method="grpc.examples.echo.Echo/UnaryEcho"}`;
          const median = await one(
            `job_grpc_method:grpc_server_call_duration_seconds:p50_rate5m${unary}`,
          );
          assert.ok(median >= DELAY_S && median < 4 * DELAY_S, `${median} s`);
          const ended = await one(
            `job_grpc_method:grpc_server_call_duration_seconds_count:rate5m${unary}`,
          );
          const started = await one(`job_grpc_method:grpc_server_call_started:rate5m${unary}`);
          assert.ok(Math.abs(ended / started - 1) < 0.2, `${ended} of ${started}`);
          const inFlight = await one(`job_grpc_method:grpc_server_call_in_flight:sum${unary}`);
          assert.ok(inFlight >= 0 && inFlight <= CONCURRENCY, `${inFlight} in flight`);

          // All calls are faster than the objective's limit, and slower than a much lower one.
          const slow = recorded.find(({ name, query }) =>
            name === "job_slo:grpc_server_call_bad:rate5m" && query.includes("histogram_fraction")
          )!.query;
          assert.ok(await one(slow) < 1e-9);
          const valid = await one(`job_slo:grpc_server_call_valid:rate5m{slo="latency"}`);
          const bad = await one(slow.replace("(0, 5,", `(0, ${DELAY_S / 2},`));
          assert.ok(valid > 0 && bad > 0.9 * valid && bad < 1.1 * valid, `${bad} of ${valid}`);
        }, PATIENCE_MS));
    });
  }
});

/** Starts a Prometheus that stores native histograms, with the rules for them. */
async function startPrometheus(
  owner: Owner,
  executable: string,
  jobs: Readonly<Record<string, readonly string[]>>,
): Promise<RunningPrometheus> {
  const isOld = executable === await realPrometheus();
  const rules = ["native/*.yml", "clients.yml", "load-balancing.yml", "telemetry.yml"];
  return await RunningPrometheus.start(owner, executable, jobs, {
    config: {
      rule_files: rules.map((file) => join(PROJECT, "stack/rules", file)),
      global: {
        scrape_interval: "1s",
        evaluation_interval: "1s",
        ...(!isOld && { scrape_native_histograms: true }),
      },
    },
    // Without an effect in Prometheus 3.
    flags: ["--enable-feature=native-histograms"],
  });
}

/** Returns the values of an instant query. */
async function valuesOf(prometheus: string, query: string): Promise<number[]> {
  const answer = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query })}`);
  const { data } = await answer.json() as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value }) => Number(value[1]));
}

function dashboardQueries(): string[] {
  const { panels } = JSON.parse(nativeFiles()["dashboards/grpc-native.json"]!) as {
    panels: Panel[];
  };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

/** Starts a server and a client on each runtime. Returns the URLs of their metrics. */
async function startCounted(owner: Owner): Promise<string[]> {
  const pages = await Promise.all(RUNTIMES.map(async (runtime) => {
    const server = await startServer(owner, runtime, NATIVE);
    const client = await startClient(owner, runtime, {
      ECHO_ADDR: server.address,
      ECHO_CONCURRENCY: `${CALLS}`,
      ECHO_INTERVAL_MS: "3600000", // each worker makes one call, then pauses
    });
    return [server.metricsUrl, client.metricsUrl];
  }));
  return pages.flat();
}
