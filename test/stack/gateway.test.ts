// Tests two tiers of Collectors: programs -> agent -> gateway -> /metrics.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CertificateAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl, grpcSeries, readExposition } from "./exposition-text.ts";
import { realCollector } from "./programs.ts";
import { startCollector } from "./running-collector.ts";
import type { CollectorOptions, RunningCollector } from "./running-collector.ts";

const collector = await realCollector();
const options = { skip: skipWithout(collector, "the Collector"), timeout: 240_000 };

/** How long the gateway is down. */
const OUTAGE_MS = 30_000;
/** Time for the delivery of everything after that, on a busy machine. */
const DELIVERY_MS = 90_000;
/** The default limit of a gRPC server in bytes. */
const LONGEST_MESSAGE = 4 * 1024 * 1024;
/** Calls of a client that ends before the gateway is back. */
const LAST_CALLS = 20;

test(
  `the gateway is down for ${OUTAGE_MS / 1000} s and the agent is killed: no count is lost`,
  options,
  async (t) => {
    const authority = await CertificateAuthority.create(t, "collectors");
    const gatewayOptions: CollectorOptions = {
      overlays: ["stack/collector/gateway.yaml"],
      environment: tls(authority, await authority.issue("gateway")),
    };
    let gateway = await startCollector(t, gatewayOptions);
    const agentOptions = await sendingTo(
      t,
      gateway,
      tls(authority, await authority.issue("agent")),
    );
    let agent = await startCollector(t, agentOptions);

    const server = await startServer(t, "node", exportingTo(agent));
    const client = await startClient(t, "bun", {
      ...exportingTo(agent),
      ECHO_ADDR: server.address,
      ECHO_QPS: "10",
    });
    await eventually(async () => assert.ok(await calls(gateway.metricsUrl) > 0), 30_000);

    await gateway.script.stop("SIGKILL");
    const killedAtMs = performance.now();
    const lastWords = await startClient(t, "bun", {
      ...exportingTo(agent),
      // An export may take as long as the interval.
      OTEL_METRIC_EXPORT_INTERVAL: "60000",
      OTEL_SERVICE_NAME: "last-words",
      ECHO_ADDR: server.address,
      ECHO_COUNT: `${LAST_CALLS}`,
      ECHO_INTERVAL_MS: "0",
    });
    assert.equal(await lastWords.script.exit(), 0);
    assert.equal(lastWords.script.stderr, "", "the agent took its last export");

    await agent.script.stop("SIGKILL");
    const callsSoFar = await calls(firstUrl(client.metricsUrl));
    agent = await startCollector(t, { ...agentOptions, ports: agent.ports });
    await delay(OUTAGE_MS - (performance.now() - killedAtMs));
    assert.ok(await calls(firstUrl(client.metricsUrl)) > callsSoFar, "calls go on");
    t.diagnostic(`in the queue: ${await queueBytes(agent)} bytes`);

    gateway = await startCollector(t, { ...gatewayOptions, ports: gateway.ports });
    const backAtMs = performance.now();
    const shown: number[] = [];
    await eventually(async () => {
      shown.push(await calls(gateway.metricsUrl));
      assert.equal(await calls(gateway.metricsUrl, "last-words"), LAST_CALLS);
    }, DELIVERY_MS);
    const delivered = ((performance.now() - backAtMs) / 1000).toFixed(1);
    t.diagnostic(`delivered ${delivered} s after the gateway's return`);

    assert.equal(await client.script.stop(), 0);
    const made = Number(/^ +Calls +(\d+)$/m.exec(client.script.stdout)?.[1]);
    await eventually(async () => {
      shown.push(await calls(gateway.metricsUrl));
      assert.equal(shown.at(-1), made);
      assert.deepEqual(
        grpcSeries(readExposition(await scrape(gateway.metricsUrl), 'job="echo-server"')),
        grpcSeries(readExposition(await scrape(firstUrl(server.metricsUrl)))),
      );
    }, DELIVERY_MS);
    assert.equal(await calls(gateway.metricsUrl, "last-words"), LAST_CALLS);
    assert.deepEqual(shown, shown.toSorted((a, b) => a - b), "no older value comes back");
    await eventuallyEqual(() => queueBytes(agent), 0, DELIVERY_MS);
  },
);

test(
  "a queue that is longer than the message limit is delivered completely",
  options,
  async (t) => {
    let gateway = await startCollector(t);
    const agent = await startCollector(
      t,
      await sendingTo(t, gateway, { COLLECTOR_GATEWAY_INSECURE: "true" }),
    );
    await gateway.script.stop("SIGKILL");
    let points = 0;
    while (await queueBytes(agent) < 1.5 * LONGEST_MESSAGE) points += await exportPoints(agent);

    gateway = await startCollector(t, { ports: gateway.ports });
    await eventually(async () => {
      const shown = (await scrape(gateway.metricsUrl)).match(/^points_total\{/gm);
      assert.equal(shown?.length, points);
    }, DELIVERY_MS);
  },
);

test("a gateway rejects an agent without a certificate", options, async (t) => {
  const authority = await CertificateAuthority.create(t, "collectors");
  const gateway = await startCollector(t, {
    overlays: ["stack/collector/gateway.yaml"],
    environment: tls(authority, await authority.issue("gateway")),
  });
  const { certificate } = authority;
  const agent = await startCollector(
    t,
    await sendingTo(t, gateway, { COLLECTOR_TLS_CA: certificate }),
  );
  await agent.script.printedError(/certificate required/);
});

test("without TLS, otel-collector.yaml alone works as the gateway", options, async (t) => {
  const gateway = await startCollector(t);
  const agent = await startCollector(
    t,
    await sendingTo(t, gateway, { COLLECTOR_GATEWAY_INSECURE: "true" }),
  );
  const server = await startServer(t, "deno", exportingTo(agent));
  await startClient(t, "bun", {
    ...exportingTo(agent),
    ECHO_ADDR: server.address,
    ECHO_CONCURRENCY: "3",
    ECHO_INTERVAL_MS: "3600000",
  });
  await eventuallyEqual(() => calls(gateway.metricsUrl), 3, 30_000);
});

/**
 * Returns the variables for a Collector's TLS: the authority it trusts, its certificate and key.
 */
function tls(
  { certificate: ca }: CertificateAuthority,
  { certificate, key }: KeyPair,
): Environment {
  return { COLLECTOR_TLS_CA: ca, COLLECTOR_TLS_CERT: certificate, COLLECTOR_TLS_KEY: key };
}

/**
 * Returns the options of an agent for a gateway. Removes the folder of its queue when the test
 * ends.
 */
async function sendingTo(
  t: TestContext,
  gateway: RunningCollector,
  environment: Environment,
): Promise<CollectorOptions> {
  const folder = await mkdtemp(join(tmpdir(), "agent-queue-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return {
    overlays: ["stack/collector/agent.yaml"],
    environment: {
      COLLECTOR_GATEWAY_ENDPOINT: `127.0.0.1:${gateway.ports.grpc}`,
      COLLECTOR_QUEUE_DIRECTORY: folder,
      ...environment,
    },
  };
}

/** Returns the variables that make a script push to a Collector and serve scrapes. */
function exportingTo({ ports }: RunningCollector): Environment {
  return {
    OTEL_METRICS_EXPORTER: "prometheus,otlp",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.http}`,
    OTEL_METRIC_EXPORT_INTERVAL: "1000",
  };
}

/** Sends 1,000 new series to an agent and returns their number. */
async function exportPoints({ ports }: RunningCollector): Promise<number> {
  const dataPoints = Array.from({ length: 1000 }, () => ({
    attributes: [{ key: "id", value: { stringValue: randomUUID() } }],
    timeUnixNano: `${Date.now()}000000`,
    asInt: 1,
  }));
  const sum = { isMonotonic: true, aggregationTemporality: 2, dataPoints };
  const response = await fetch(`http://127.0.0.1:${ports.http}/v1/metrics`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "points", sum }] }] }],
    }),
  });
  assert.equal(response.status, 200);
  return dataPoints.length;
}

/**
 * Returns how many calls a client has started, as a `/metrics` page shows it; 0 without a series.
 */
async function calls(metricsUrl: string, job = "echo-client"): Promise<number> {
  const series = /^grpc_client_attempt_started_total\{(.*)\} (\S+)$/gm;
  for (const [, labels = "", value] of (await scrape(metricsUrl)).matchAll(series)) {
    if (!labels.includes("job=") || labels.includes(`job="${job}"`)) return Number(value);
  }
  return 0;
}

/** Returns the size of an agent's queue in bytes, as the agent reports it. */
async function queueBytes({ ports }: RunningCollector): Promise<number> {
  const text = await scrape(`http://127.0.0.1:${ports.telemetry}/metrics`);
  return Number(/^otelcol_exporter_queue_size\{.*\} (\S+)$/m.exec(text)?.[1]);
}
