// Tests that queries have the same results for pulled and for pushed metrics, in each version of
// Prometheus.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODELAB_QUERIES } from "../../stack/queries.ts";
import { interpolate, queries } from "./rules/dashboard.ts";
import type { Choice } from "./rules/dashboard.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl } from "./exposition-text.ts";
import { realCollector, realPrometheuses } from "./programs.ts";
import { startCollector } from "./running-collector.ts";
import { query } from "./running-stack.ts";
import type { Sample } from "./running-stack.ts";

const versions = Object.entries(await realPrometheuses());
const collector = await realCollector();
const options = {
  skip: versions.map(([name, executable]) => skipWithout(executable, name)).find(Boolean) ||
    skipWithout(collector, "the Collector"),
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
 * The largest relative difference between two rates. They are scraped at different moments, so
 * within a range one may have an additional sample, and a last sample that is up to a second older.
 * That is up to 2 s of at least 40 s of data. A single missing call exceeds the tolerance.
 */
const RATE_TOLERANCE = 0.05;
/** Time until there are 40 s of data and both have seen the same calls. */
const PATIENCE_MS = 120_000;

/** Metrics that are measured at each scrape, so that only their labels can be compared. */
const MEASURED_AT_SCRAPE = /\b(process|nodejs)_/;

/**
 * Metrics that are off by default are off here too, and other tests compare them. Their queries have
 * no value.
 */
const OFF_BY_DEFAULT = /_(delay|handshake|tcp|lb|xds_client)_/;

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

test("every query has the same result, pulled or pushed, in every version", options, async (t) => {
  const { address, pulling, pushing } = await startCalls(t);
  const running = await Promise.all(
    versions.flatMap(([name, executable]) =>
      Object.entries({ pulled: pulling, pushed: pushing }).map(async ([way, jobs]) => ({
        where: `${name}, ${way}`,
        prometheus: await RunningPrometheus.start(t, executable!, jobs),
      }))
    ),
  );
  /** Asks all of them and compares each with the first. */
  const everywhere = async (
    expression: string,
    assertSame: (actual: Comparable[], expected: Comparable[], where: string) => void,
  ) => {
    const [first = [], ...others] = await Promise.all(
      running.map(async ({ prometheus: { url } }) => comparable(await query(url, expression))),
    );
    for (const [index, other] of others.entries()) {
      assertSame(other, first, running[index + 1]!.where);
    }
    return first;
  };

  for (const expression of CUMULATIVE) {
    await t.test(expression, () =>
      eventually(async () => {
        const first = await everywhere(expression, (actual, expected, where) =>
          assert.deepEqual(actual, expected, where));
        assert.ok(first.length > 0, "no data");
      }, PATIENCE_MS));
  }

  const choice: Choice = {
    job: ["echo-client", "echo-server"],
    grpc_method: [SUCCEEDING, FAILING].map(({ ECHO_METHOD: name }) =>
      `grpc.examples.echo.Echo/${name}`
    ),
    grpc_target: [`dns:///${address}`],
  };
  const rules = await running[0]!.prometheus.rules();
  const recorded = rules.filter(({ type }) => type === "recording").map(({ name }) => name);
  const expressions = new Set([
    ...CODELAB_QUERIES,
    ...queries.map((panel) => interpolate(panel.query, choice)),
    ...recorded,
  ]);
  for (const expression of expressions) {
    await t.test(expression, () =>
      eventually(async () => {
        const labelsOnly = MEASURED_AT_SCRAPE.test(expression);
        const first = await everywhere(expression, (actual, expected, where) =>
          assertAlike(actual, expected, where, labelsOnly));
        const hasData = first.some(({ value }) =>
          Number.isFinite(value)
        );
        assert.ok(hasData || OFF_BY_DEFAULT.test(expression), "no data");
      }, PATIENCE_MS));
  }

  // Most alerts have no result here.
  for (const { name, query: expression } of rules.filter(({ type }) => type === "alerting")) {
    await t.test(`alert ${name}`, () =>
      eventually(async () => {
        await everywhere(expression, (...results) => assertAlike(...results));
      }, PATIENCE_MS));
  }

  for (const { where, prometheus } of running) {
    await t.test(`${where}: every rule can be evaluated`, () =>
      eventually(async () => {
        const failed = (await prometheus.rules()).filter(({ health }) => health !== "ok");
        assert.deepEqual(failed.map(({ name, lastError }) => `${name}: ${lastError}`), []);
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
  const authority = await CertificateAuthority.create(owner, "authority");
  const { certificate, key } = await authority.issue("server");
  const server = await startServer(owner, "bun", {
    ...exporters,
    ECHO_DELAY_MS: "1000",
    GRPC_TLS_CERT: certificate,
    GRPC_TLS_KEY: key,
  });
  // With TLS, Deno needs the name of the host.
  const address = server.address.replace("127.0.0.1", "localhost");
  const clients = await Promise.all(
    [SUCCEEDING, FAILING].map((calls) =>
      startClient(owner, "deno", {
        ...exporters,
        ...calls,
        ECHO_ADDR: address,
        GRPC_TLS_CA: authority.certificate,
      })
    ),
  );
  await eventually(async () => {
    const text = await scrape(metricsUrl);
    const ended = /^(grpc_\w+_duration_seconds_count)\{.*grpc_method="([^"]+)"/gm;
    const seen = new Set([...text.matchAll(ended)].map(([, name, method]) => `${name} ${method}`));
    assert.equal(seen.size, 6, "two methods in each of a server's calls, a client's and attempts");
  }, 60_000);
  return {
    address,
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
  where: string,
  labelsOnly = false,
): void {
  const labels = (results: readonly Comparable[]) => results.map(({ labels }) => labels);
  assert.deepEqual(labels(actual), labels(expected), where);
  if (labelsOnly) return;
  for (const [index, { labels, value }] of expected.entries()) {
    const other = actual[index]!.value;
    const near = Math.abs(other - value) <= RATE_TOLERANCE * Math.abs(value);
    assert.ok(near || Object.is(other, value), `${where} ${labels}: ${other} instead of ${value}`);
  }
}
