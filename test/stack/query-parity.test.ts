// Tests that queries have the same results for pulled and for pushed metrics.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODELAB_QUERIES } from "../../stack/queries.ts";
import { interpolate, queries } from "./rules/dashboard.ts";
import type { Choice } from "./rules/dashboard.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl } from "./exposition-text.ts";
import { realCollector, realPrometheus } from "./programs.ts";
import { startCollector } from "./running-collector.ts";
import { query } from "./running-stack.ts";
import type { Sample } from "./running-stack.ts";

const executable = await realPrometheus();
const collector = executable && await realCollector();
const options = {
  skip: skipWithout(collector, "Prometheus or the Collector"),
  timeout: 300_000,
};

/** The clients make their calls together, then pause, so that nothing changes most of the time. */
const PAUSE_S = 20;
/** Four calls at a time. */
const SUCCEEDING = {
  ECHO_METHOD: "UnaryEcho",
  ECHO_CONCURRENCY: "4",
  ECHO_INTERVAL_MS: `${PAUSE_S * 1000}`,
};
/** One call at a time at a fixed rate: after a failure, the client does not keep its interval. */
const FAILING = {
  ECHO_METHOD: "ServerStreamingEcho",
  ECHO_QPS: `${1 / PAUSE_S}`,
  ECHO_DEADLINE_MS: "500",
};

/**
 * The largest relative difference between two rates. Pull and push are scraped at different
 * moments, so within a range one may have an additional sample, and a last sample that is up to a
 * second older. That is up to 2 s of at least 40 s of data. A single missing call exceeds the
 * tolerance.
 */
const RATE_TOLERANCE = 0.05;
/** Time until there are 40 s of data and both have seen the same calls. */
const PATIENCE_MS = 120_000;

/** Metrics that are measured at each scrape, so that only their labels can be compared. */
const MEASURED_AT_SCRAPE = /\b(process|nodejs)_/;

/** Queries of counters without a rate, whose results must be equal to the last digit. */
const CUMULATIVE = [
  `{__name__=~"grpc_.+"}`,
  "sum by (job, grpc_method, grpc_status) (grpc_server_call_duration_seconds_count)",
  "grpc_client_attempt_duration_seconds_sum / grpc_client_attempt_duration_seconds_count",
  ...[0.5, 0.95, 0.99].flatMap((quantile) =>
    ["grpc_client_call", "grpc_client_attempt", "grpc_server_call"].map((calls) =>
      `histogram_quantile(${quantile}, sum by (job, grpc_method, le) (${calls}_duration_seconds_bucket))`
    )
  ),
];

test("every query has the same result for pulled and pushed metrics", options, async (t) => {
  assert.ok(executable && collector, "Prometheus or the Collector is missing");
  const { address, pulling, pushing } = await startCalls(t);
  const [pulled, pushed] = await Promise.all([
    RunningPrometheus.start(t, executable, pulling),
    RunningPrometheus.start(t, executable, pushing),
  ]);
  const both = (expression: string) =>
    Promise.all([pulled, pushed].map(async ({ url }) => comparable(await query(url, expression))));

  for (const expression of CUMULATIVE) {
    await t.test(expression, () =>
      eventually(async () => {
        const [direct, throughCollector] = await both(expression);
        assert.ok(direct!.length > 0, "no data");
        assert.deepEqual(throughCollector, direct);
      }, PATIENCE_MS));
  }

  const choice: Choice = {
    job: ["echo-client", "echo-server"],
    grpc_method: [SUCCEEDING, FAILING].map(({ ECHO_METHOD: name }) =>
      `grpc.examples.echo.Echo/${name}`
    ),
    grpc_target: [`dns:///${address}`],
  };
  const rules = await pulled.rules();
  const recorded = rules.filter(({ type }) => type === "recording").map(({ name }) => name);
  const expressions = new Set([
    ...CODELAB_QUERIES,
    ...queries.map((panel) => interpolate(panel.query, choice)),
    ...recorded,
  ]);
  for (const expression of expressions) {
    await t.test(expression, () =>
      eventually(async () => {
        const [direct, throughCollector] = await both(expression);
        assert.ok(direct!.some(({ value }) => Number.isFinite(value)), "no data");
        assertAlike(throughCollector!, direct!, MEASURED_AT_SCRAPE.test(expression));
      }, PATIENCE_MS));
  }

  // Most alerts have no result here, neither for pull nor for push.
  for (const { name, query: expression } of rules.filter(({ type }) => type === "alerting")) {
    await t.test(`alert ${name}`, () =>
      eventually(async () => {
        const [direct, throughCollector] = await both(expression);
        assertAlike(throughCollector!, direct!, false);
      }, PATIENCE_MS));
  }
});

/**
 * Starts a server and two clients with both exporters. Waits for the end of their first calls, so
 * that pull and push start with the same counts.
 */
async function startCalls(owner: Owner) {
  const { ports, metricsUrl } = await startCollector(owner);
  const exporters = {
    OTEL_METRICS_EXPORTER: "prometheus,otlp",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.http}`,
    OTEL_METRIC_EXPORT_INTERVAL: "250",
  };
  const server = await startServer(owner, "bun", { ...exporters, ECHO_DELAY_MS: "1000" });
  const clients = await Promise.all(
    [SUCCEEDING, FAILING].map((calls) =>
      startClient(owner, "deno", { ...exporters, ...calls, ECHO_ADDR: server.address })
    ),
  );
  await eventually(async () => {
    const text = await scrape(metricsUrl);
    const ended = /^(grpc_\w+_duration_seconds_count)\{.*grpc_method="([^"]+)"/gm;
    const seen = new Set([...text.matchAll(ended)].map(([, name, method]) => `${name} ${method}`));
    assert.equal(seen.size, 6, "two methods in each of a server's calls, a client's and attempts");
  }, 60_000);
  return {
    address: server.address,
    pulling: {
      "echo-server": [firstUrl(server.metricsUrl)],
      "echo-client": clients.map((client) => firstUrl(client.metricsUrl)),
    },
    pushing: { collector: [metricsUrl] },
  };
}

interface Comparable {
  readonly labels: string;
  readonly value: number;
}

/**
 * Sorts samples and removes the label `instance`, which is an address for pull and an id for push.
 */
function comparable(samples: readonly Sample[]): Comparable[] {
  return samples.map(({ metric: { instance: _, ...metric }, value }) => ({
    labels: JSON.stringify(Object.entries(metric).sort(([a], [b]) => a < b ? -1 : 1)),
    value: Number(value[1]),
  })).sort((a, b) => a.labels < b.labels ? -1 : 1);
}

/** Asserts equal labels and, unless `labelsOnly`, values within the tolerance. */
function assertAlike(
  actual: readonly Comparable[],
  expected: readonly Comparable[],
  labelsOnly: boolean,
): void {
  assert.deepEqual(actual.map(({ labels }) => labels), expected.map(({ labels }) => labels));
  if (labelsOnly) return;
  for (const [index, { labels, value }] of expected.entries()) {
    const other = actual[index]!.value;
    const near = Math.abs(other - value) <= RATE_TOLERANCE * Math.abs(value);
    assert.ok(near || Object.is(other, value), `${labels}: ${other} instead of ${value}`);
  }
}
