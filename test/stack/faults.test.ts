// Outages of the real Collector and the real Prometheus: the scripts must not lose data.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { CollectorPorts } from "../../stack/collector/environment.ts";
import type { OtlpProtocol } from "../../telemetry/settings/variables.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import type { Runtime, Script } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl, grpcSeries, readExposition } from "./exposition-text.ts";
import { realCollector, realPrometheus } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();
const prometheus = await realPrometheus();
const options = { skip: skipWithout(collector, "the Collector"), timeout: 300_000 };

/** How long the Collector is down. */
const OUTAGE_S = 30;
/** How long Prometheus is down: several scrapes, which happen every second here. */
const PROMETHEUS_OUTAGE_S = 8;
const CONCURRENCY = 5;
/** Calls come in bursts. The pause between two bursts is enough to deliver all counts. */
const BURST_INTERVAL_MS = 5000;
/** An export may take as long. On a busy machine, one second is too short for some. */
const EXPORT_INTERVAL_MS = 3000;
/** grpc-js increases the pauses between connection attempts, to 17 s after 30 s. */
const RECOVERY_MS = 90_000;

/** A script that pushes and can be scraped. */
interface Program {
  readonly script: Script;
  readonly job: "echo-server" | "echo-client";
  /** The URL of its own `/metrics`. */
  readonly url: string;
}

/** The runtime of a script and the protocol that it pushes with. */
type Variant = readonly [runtime: Runtime, protocol: OtlpProtocol];

/** Starts a server, and a client that calls it in bursts until it is stopped. */
async function startPrograms(
  t: TestContext,
  ports: CollectorPorts,
  [serverRuntime, serverProtocol]: Variant,
  [clientRuntime, clientProtocol]: Variant,
): Promise<Program[]> {
  const pushing = (protocol: OtlpProtocol) => ({
    OTEL_METRICS_EXPORTER: "prometheus,otlp",
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${
      protocol === "grpc" ? ports.grpc : ports.http
    }`,
    OTEL_METRIC_EXPORT_INTERVAL: `${EXPORT_INTERVAL_MS}`,
  });
  const server = await startServer(t, serverRuntime, pushing(serverProtocol));
  const client = await startClient(t, clientRuntime, {
    ...pushing(clientProtocol),
    ECHO_ADDR: server.address,
    ECHO_CONCURRENCY: `${CONCURRENCY}`,
    ECHO_INTERVAL_MS: `${BURST_INTERVAL_MS}`,
  });
  return [
    { script: server.script, job: "echo-server", url: firstUrl(server.metricsUrl) },
    { script: client.script, job: "echo-client", url: firstUrl(client.metricsUrl) },
  ];
}

/** The calls that a client has made so far. */
interface Calls {
  readonly ended: number;
  readonly ok: number;
  /** Calls that took at most 2 s. */
  readonly quick: number;
  readonly seconds: number;
}

async function callsOf({ url }: Program): Promise<Calls> {
  const { series } = readExposition(await scrape(url));
  const sum = (pattern: RegExp) =>
    [...series].reduce((sum, [key, value]) => pattern.test(key) ? sum + Number(value) : sum, 0);
  return {
    ended: sum(/^grpc_client_call_duration_seconds_count/),
    ok: sum(/^grpc_client_call_duration_seconds_count.*grpc_status="OK"/),
    quick: sum(/^grpc_client_call_duration_seconds_bucket.*le="2"/),
    seconds: sum(/^grpc_client_call_duration_seconds_sum/),
  };
}

/** Waits until the client has made more calls than before, and returns its calls. */
async function moreCalls(client: Program, { ended }: Pick<Calls, "ended">): Promise<Calls> {
  return await eventually(async () => {
    const calls = await callsOf(client);
    assert.ok(calls.ended > ended, `${calls.ended} calls`);
    return calls;
  }, 30_000);
}

/** Waits until the Collector shows the same gRPC series as each program itself. */
async function sameTotals(metricsUrl: string, programs: readonly Program[]): Promise<void> {
  for (const { job, url } of programs) {
    await eventually(async () => {
      const own = grpcSeries(readExposition(await scrape(url)));
      const pushed = grpcSeries(readExposition(await scrape(metricsUrl), `job="${job}"`));
      assert.deepEqual(pushed, own);
      assert.ok(Object.keys(own).length > 0);
    }, RECOVERY_MS);
  }
}

/** The line after an outage, with its length in seconds and the number of late points. */
const AGAIN = /^telemetry: .+ again, after (\d+\.\d) s; (\d+) points were late$/;
const FAILING = /^telemetry: metrics cannot be delivered to \S+: (.+); recording goes on, .+$/;

/** Returns the lines of a program's standard error. */
function complaints({ script }: Program): string[] {
  return script.stderr.split("\n").slice(0, -1);
}

/** Waits for the line after an outage and asserts that there was only one other, at its start. */
async function reportedOnce(program: Program): Promise<{ seconds: number; points: number }> {
  await program.script.printedError(/ again, after /);
  const [failing = "", again = "", ...more] = complaints(program);
  assert.match(failing, FAILING);
  const [, seconds, points] = AGAIN.exec(again) ?? assert.fail(again);
  assert.deepEqual(more, []);
  return { seconds: Number(seconds), points: Number(points) };
}

/**
 * Asserts that each outage has one line at its start and one at its end. A fast restart may have
 * none.
 */
function assertPairsOfLines(program: Program): void {
  complaints(program).forEach((line, index) => {
    assert.match(line, index % 2 === 0 ? FAILING : AGAIN);
  });
}

async function stopCleanly(programs: readonly Program[]): Promise<void> {
  for (const { script } of programs.toReversed()) assert.equal(await script.stop(), 0);
}

for (
  const [server, client] of [
    [["bun", "http/json"], ["deno", "grpc"]],
    [["node", "grpc"], ["bun", "http/protobuf"]],
  ] as const
) {
  test(
    `the Collector is down for ${OUTAGE_S} s: ${server.join()} and ${client.join()} lose nothing`,
    options,
    async (t) => {
      const first = await startCollector(t);
      const programs = await startPrograms(t, first.ports, server, client);
      const caller = programs[1]!;
      await moreCalls(caller, { ended: 2 * CONCURRENCY });
      await sameTotals(first.metricsUrl, programs);
      const before = await callsOf(caller);

      await first.script.stop("SIGTERM");
      await delay(OUTAGE_S * 1000);
      const during = await callsOf(caller);
      const bursts = OUTAGE_S * 1000 / BURST_INTERVAL_MS;
      assert.ok(during.ended - before.ended >= CONCURRENCY * bursts / 2, "calls went on");

      const second = await startCollector(t, { ports: first.ports });
      await sameTotals(second.metricsUrl, programs);
      for (const program of programs) {
        const { seconds, points } = await reportedOnce(program);
        // The first export that fails begins up to an interval later, and ends up to another one later.
        assert.ok(
          seconds > OUTAGE_S - 3 * EXPORT_INTERVAL_MS / 1000 &&
            seconds < OUTAGE_S + RECOVERY_MS / 1000,
          `${seconds} s`,
        );
        assert.ok(points > 0);
        t.diagnostic(`${program.job}: ${points} points late for ${seconds} s`);
      }
      const after = await callsOf(caller);
      assert.equal(after.ok, after.ended);
      assert.equal(after.quick, after.ended);
      const mean = (to: Calls, from: Calls) =>
        `${((to.seconds - from.seconds) / (to.ended - from.ended) * 1000).toFixed(1)} ms`;
      t.diagnostic(
        `${during.ended - before.ended} calls in the outage, mean latency ${
          mean(during, before)
        }; ` +
          `before ${mean(before, { ...before, ended: 0, seconds: 0 })}`,
      );
      await stopCleanly(programs);
    },
  );
}

for (
  const [signal, server, client] of [
    ["SIGTERM", ["node", "http/protobuf"], ["bun", "grpc"]],
    ["SIGKILL", ["deno", "http/json"], ["node", "grpc"]],
  ] as const
) {
  test(
    `the Collector restarts after ${signal}: ${server.join()} and ${client.join()} lose nothing`,
    options,
    async (t) => {
      const first = await startCollector(t);
      const programs = await startPrograms(t, first.ports, server, client);
      const caller = programs[1]!;
      const before = await moreCalls(caller, { ended: CONCURRENCY });
      await sameTotals(first.metricsUrl, programs);

      await first.script.stop(signal);
      const second = await startCollector(t, { ports: first.ports });
      await moreCalls(caller, before);
      await sameTotals(second.metricsUrl, programs);
      for (const program of programs) assertPairsOfLines(program);
      const after = await callsOf(caller);
      assert.equal(after.ok, after.ended);
      await stopCleanly(programs);
    },
  );
}

test(
  "the Collector starts after the programs: it receives everything they counted before",
  options,
  async (t) => {
    const earlier = await startCollector(t);
    await earlier.script.stop();
    const programs = await startPrograms(
      t,
      earlier.ports,
      ["node", "grpc"],
      ["deno", "http/protobuf"],
    );
    for (const { script } of programs) await script.printedError(/cannot be delivered/);
    await moreCalls(programs[1]!, { ended: CONCURRENCY });

    const { metricsUrl } = await startCollector(t, { ports: earlier.ports });
    await sameTotals(metricsUrl, programs);
    for (const program of programs) await reportedOnce(program);
    await stopCleanly(programs);
  },
);

test(
  `Prometheus is down for ${PROMETHEUS_OUTAGE_S} s: it misses no counts, and the programs notice nothing`,
  { ...options, skip: options.skip || skipWithout(prometheus, "Prometheus") },
  async (t) => {
    const { ports, metricsUrl } = await startCollector(t);
    const programs = await startPrograms(t, ports, ["deno", "grpc"], ["bun", "http/json"]);
    const [server, client] = programs as [Program, Program];
    const running = await RunningPrometheus.start(t, prometheus!, { collector: [metricsUrl] });
    const started = (name: string) => running.query(`sum(${name})`);
    await moreCalls(client, { ended: CONCURRENCY });
    await eventually(async () => {
      const [calls = 0] = await started("grpc_server_call_started_total");
      assert.ok(calls > 0);
    }, 30_000);

    await running.stop();
    const before = await callsOf(client);
    await delay(PROMETHEUS_OUTAGE_S * 1000);
    await moreCalls(client, before);
    await running.startAgain(t);
    for (
      const [program, name] of [
        [server, "grpc_server_call_started_total"],
        [client, "grpc_client_attempt_started_total"],
      ] as const
    ) {
      await eventually(async () => {
        const { series } = readExposition(await scrape(program.url));
        const own = [...series].filter(([key]) => key.startsWith(`${name}{`));
        assert.deepEqual(await started(name), own.map(([, value]) => Number(value)));
      }, 60_000);
    }
    // The counts during the outage appear as an increase, not as a reset.
    await eventuallyEqual(() => running.query("sum(resets(grpc_server_call_started_total[5m]))"), [
      0,
    ]);
    const after = await callsOf(client);
    assert.equal(after.ok, after.ended);
    await stopCleanly(programs);
    for (const { script } of programs) assert.equal(script.stderr, "");
    await running.stop();
  },
);
