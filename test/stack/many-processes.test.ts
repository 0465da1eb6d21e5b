import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Environment, Runtime, Script } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl, grpcSeries, readExposition } from "./exposition-text.ts";
import { realCollector } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();

/** The runtimes of each pair's server and client. The n-th pair makes n calls. */
const PAIRS: readonly (readonly [Runtime, Runtime])[] = [
  ["node", "bun"],
  ["bun", "deno"],
  ["deno", "node"],
  ["bun", "bun"],
  ["node", "deno"],
];
const CALLS = 1 + 2 + 3 + 4 + 5;
/** Several export intervals, so that running processes don't expire on a busy machine. */
const EXPIRATION_S = 10;
const EXPORT_INTERVAL_MS = 1000;

interface Process {
  readonly script: Script;
  /** The URL of its own `/metrics`. */
  readonly url: string;
  /** Its `service.instance.id`. */
  readonly instance: string;
}

test(
  "10 processes behind one Collector stay separate, and the series of a killed one expire",
  { skip: skipWithout(collector, "the Collector"), timeout: 180_000 },
  async (t) => {
    const { ports, metricsUrl } = await startCollector(t, {
      environment: { COLLECTOR_METRIC_EXPIRATION: `${EXPIRATION_S}s` },
    });
    const processes = await startPairs(t, {
      OTEL_METRICS_EXPORTER: "prometheus,otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.http}`,
      OTEL_METRIC_EXPORT_INTERVAL: `${EXPORT_INTERVAL_MS}`,
    });
    assert.equal(new Set(processes.map(({ instance }) => instance)).size, 10);

    const before = await eventually(async () => {
      const text = await scrape(metricsUrl);
      assert.equal(sum(text, "grpc_server_call_started_total"), CALLS);
      assert.equal(sum(text, "grpc_server_call_duration_seconds_count"), CALLS);
      assert.equal(sum(text, "grpc_client_attempt_started_total"), CALLS);
      assert.equal(sum(text, "grpc_client_call_duration_seconds_count"), CALLS);
      const expected = await own(processes);
      assert.deepEqual(pushed(text), expected);
      return expected;
    }, 60_000);

    const [victim, ...others] = processes;
    await victim!.script.stop("SIGKILL");
    assert.deepEqual(pushed(await scrape(metricsUrl)), before, "nothing is lost at once");

    const { [victim!.instance]: _, ...left } = before;
    await eventuallyEqual(async () => pushed(await scrape(metricsUrl)), left, 60_000);
    assert.deepEqual(await own(others), left);
  },
);

/** Starts a server and a client for each pair. Each client makes its calls at once, then pauses. */
async function startPairs(t: TestContext, environment: Environment): Promise<Process[]> {
  const pairs = await Promise.all(PAIRS.map(async ([serverRuntime, clientRuntime], index) => {
    const server = await startServer(t, serverRuntime, environment);
    const client = await startClient(t, clientRuntime, {
      ...environment,
      ECHO_ADDR: server.address,
      ECHO_CONCURRENCY: `${index + 1}`,
      ECHO_INTERVAL_MS: "3600000",
    });
    return [await describe(server), await describe(client)];
  }));
  return pairs.flat();
}

async function describe(
  { script, metricsUrl }: { script: Script; metricsUrl: string },
): Promise<Process> {
  const url = firstUrl(metricsUrl);
  const [, instance] = /service_instance_id="([^"]+)"/.exec(await scrape(url)) ?? [];
  assert.ok(instance);
  return { script, url, instance };
}

type SeriesByInstance = Record<string, Record<string, string>>;

/** Returns the gRPC series that each process itself shows. */
async function own(processes: readonly Process[]): Promise<SeriesByInstance> {
  const entries = processes.map(async ({ instance, url }) =>
    [instance, grpcSeries(readExposition(await scrape(url)))] as const
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Returns the gRPC series that the Collector shows for each instance. */
function pushed(text: string): SeriesByInstance {
  const instances = new Set(text.match(/(?<=[{,]instance=")[^"]+/g));
  return Object.fromEntries(Array.from(instances, (instance) => [
    instance,
    grpcSeries(readExposition(text, `instance="${instance}"`)),
  ]));
}

/** Returns the sum of a metric over all instances. */
function sum(text: string, name: string): number {
  let sum = 0;
  for (const [, value] of text.matchAll(new RegExp(`^${name}\\{.*\\} (\\S+)$`, "gm"))) {
    sum += Number(value);
  }
  return sum;
}
