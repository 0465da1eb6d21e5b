/** Strangers at the gRPC port: whatever they send, the server serves others, and counts right. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { echoClient, readAll } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { megabytes } from "../support/heap.ts";
import { Random, seed } from "../support/random.ts";
import { scrape } from "../support/scrape.ts";
import { run, RUNTIMES, Script, startServer } from "../support/script.ts";
import { attack } from "./attack.ts";

const INPUTS = 10_000;
/** As many are enough to compare what an instrumented server takes with what a bare one takes. */
const COMPARED = 3000;
const SAMPLE_EVERY = 500;
/** How much more memory than the bare server's growth the instrumented one's may be. */
const MOST_MORE_BYTES = 100e6;
const LONGEST_GAP_MS = 10_000;

/** What bad inputs never call: each of these calls is a good one. */
const GOOD = "grpc.examples.echo.Echo/ServerStreamingEcho";
/** All that the server has registered and somebody calls here, and what it has not. */
const METHODS = [
  "grpc.examples.echo.Echo/BidirectionalStreamingEcho",
  "grpc.examples.echo.Echo/ClientStreamingEcho",
  GOOD,
  "grpc.examples.echo.Echo/UnaryEcho",
  "grpc.health.v1.Health/Check",
  "other",
];
/** What grpc-js and the Echo service end calls with. */
const STATUSES = [
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "NOT_FOUND",
  "OK",
  "RESOURCE_EXHAUSTED",
  "UNIMPLEMENTED",
  "UNKNOWN",
];

for (const runtime of RUNTIMES) {
  test(`${runtime}: 10,000 bad inputs at the gRPC port disturb nobody and miscount nothing`, {
    timeout: 600_000,
  }, async (t) => {
    const first = seed();
    console.log(`${runtime}: SEED=${first}`);
    const bare = new Script(t, run(runtime, "test/security/bare-server.ts"));
    const barePort = portOf(await bare.printed(/^Serving on (.+)\n/m));
    const bareMemory = new Memory(bare.pid);
    await attack(barePort, COMPARED, new Random(first), (sent) => bareMemory.sample(sent));
    bare.signal("SIGKILL");

    const { script, address, metricsUrl } = await startServer(t, runtime);
    const memory = new Memory(script.pid);
    const good = goodCalls(address);
    const scrapes = repeated(async () => void await scrape(metricsUrl), 200);
    await attack(portOf(address), INPUTS, new Random(first), (sent) => memory.sample(sent));
    const { times: calls, longestMs } = await good.stop();
    const scraped = await scrapes.stop();

    console.log(
      `${runtime}: ${calls} good calls, the longest wait for one ${longestMs.toFixed(0)} ms; ` +
        `${scraped.times} scrapes, the longest wait ${scraped.longestMs.toFixed(0)} ms; ` +
        `memory ${memory}; bare server ${bareMemory}, ` +
        `${bare.stderr.split("Uncaught: ").length - 1} uncaught exceptions`,
    );
    assert.ok(calls > 0);
    assert.ok(longestMs < LONGEST_GAP_MS, `no answer for ${longestMs} ms`);
    assert.ok(scraped.longestMs < LONGEST_GAP_MS, `no metrics for ${scraped.longestMs} ms`);

    const counts = await eventually(async () => {
      const counts = serverCounts(await scrape(metricsUrl));
      assert.deepEqual(counts.ended, counts.started);
      return counts;
    }, 30_000);
    assert.equal(counts.started[GOOD], calls);
    assert.deepEqual(Object.keys(counts.started).toSorted(), METHODS);
    assert.deepEqual(counts.statuses.filter((status) => !STATUSES.includes(status)), []);

    const allowed = 1.5 * bareMemory.growthAt(COMPARED) + MOST_MORE_BYTES;
    assert.ok(memory.growthAt(COMPARED) < allowed, `${memory}, bare ${bareMemory}`);
    assert.equal(await script.stop("SIGTERM"), 0);
  });
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** What a process has in memory, as the system sees it. */
class Memory {
  readonly #pid: number;
  readonly #bytes: number[] = [];

  constructor(pid: number) {
    this.#pid = pid;
    this.sample(0);
  }

  /** @param inputs How many bad inputs there were. */
  sample(inputs: number): void {
    if (inputs % SAMPLE_EVERY !== 0) return;
    const kilobytes = execFileSync("ps", ["-o", "rss=", "-p", `${this.#pid}`], {
      encoding: "utf8",
    });
    this.#bytes.push(Number(kilobytes) * 1024);
  }

  growthAt(inputs: number): number {
    return this.#bytes[inputs / SAMPLE_EVERY]! - this.#bytes[0]!;
  }

  toString(): string {
    const half = Math.floor(this.#bytes.length / 2);
    const last = this.#bytes.length - 1;
    const slope = (this.#bytes[last]! - this.#bytes[half]!) / ((last - half) * SAMPLE_EVERY);
    return `${megabytes(this.#bytes[0]!)} to ${megabytes(this.#bytes[last]!)}, ` +
      `${(slope / 1000).toFixed(1)} kB an input in the second half`;
  }
}

/** Makes one call after the other over a connection of its own; each has to succeed. */
function goodCalls(address: string) {
  const client = echoClient(address, {});
  const text = `hello (from 127.0.0.1:0)`;
  const calls = repeated(async () => {
    const stream = client.ServerStreamingEcho({ message: "hello" }, {
      deadline: Date.now() + 60_000,
    });
    assert.deepEqual(await readAll(stream), [text, text, text]);
  }, 10);
  return {
    async stop() {
      try {
        return await calls.stop();
      } finally {
        client.close();
      }
    },
  };
}

/** Does something again and again, with a pause in milliseconds, until it is stopped. */
function repeated(work: () => Promise<void>, pauseMs: number) {
  let stopped = false;
  let times = 0;
  let longestMs = 0;
  const done = (async () => {
    while (!stopped) {
      const startMs = performance.now();
      await work();
      times++;
      longestMs = Math.max(longestMs, performance.now() - startMs);
      await delay(pauseMs);
    }
  })();
  // What fails is told when it is stopped.
  done.catch(() => {});
  return {
    async stop(): Promise<{ times: number; longestMs: number }> {
      stopped = true;
      await done;
      return { times, longestMs };
    },
  };
}

/** What a server says of its calls, by method. */
function serverCounts(text: string) {
  const started: Record<string, number> = {};
  const ended: Record<string, number> = {};
  const statuses = new Set<string>();
  for (
    const [, metric, labels = "", value] of text.matchAll(
      /^grpc_server_call_(\w+)\{(.*)\} (\S+)$/gm,
    )
  ) {
    const method = /grpc_method="([^"]*)"/.exec(labels)?.[1] ?? "";
    if (metric === "started_total") started[method] = Number(value);
    if (metric === "duration_seconds_count") {
      ended[method] = (ended[method] ?? 0) + Number(value);
      statuses.add(/grpc_status="([^"]*)"/.exec(labels)?.[1] ?? "");
    }
  }
  return { started, ended, statuses: [...statuses] };
}
