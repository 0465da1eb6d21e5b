/** Hostile input at the gRPC port neither disturbs other clients nor distorts metrics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { echoClient, readAll } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { Random, seed } from "../support/random.ts";
import { scrape } from "../support/scrape.ts";
import { run, RUNTIMES, Script, startServer } from "../support/script.ts";
import { attack } from "./attack.ts";
import { BAD_HTTP2 } from "./bad-http2.ts";
import { Memory, portOf, repeated } from "./watch.ts";

const INPUTS = 10_000;
/** Enough inputs to compare the memory of an instrumented server with that of a bare one. */
const COMPARED = 3000;
/** Short, because the server may keep a connection open that has not broken the rules yet. */
const PATIENCE_MS = 200;
/** How much more than the bare server the instrumented one may grow. */
const MOST_MORE_BYTES = 100e6;
const LONGEST_GAP_MS = 10_000;

/** A method that bad inputs never call. */
const GOOD = "grpc.examples.echo.Echo/ServerStreamingEcho";
/** The method labels of all calls: the registered methods called here, and `other`. */
const METHODS = [
  "grpc.examples.echo.Echo/BidirectionalStreamingEcho",
  "grpc.examples.echo.Echo/ClientStreamingEcho",
  GOOD,
  "grpc.examples.echo.Echo/UnaryEcho",
  "grpc.health.v1.Health/Check",
  "other",
];
/** The statuses with which grpc-js and the Echo service end calls. */
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
  test(`${runtime}: 10,000 bad inputs at the gRPC port disturb no client and no count`, {
    timeout: 600_000,
  }, async (t) => {
    const first = seed();
    console.log(`${runtime}: SEED=${first}`);
    const bare = new Script(t, run(runtime, "test/security/bare-server.ts"));
    const barePort = portOf(await bare.printed(/^Serving on (.+)\n/m));
    const bareMemory = new Memory(bare.pid);
    await attack(barePort, new Random(first), {
      kinds: BAD_HTTP2,
      inputs: COMPARED,
      patienceMs: PATIENCE_MS,
      during: (sent) => bareMemory.sample(sent),
    });
    bare.signal("SIGKILL");

    const { script, address, metricsUrl } = await startServer(t, runtime);
    const memory = new Memory(script.pid);
    const good = goodCalls(address);
    const scrapes = repeated(async () => void await scrape(metricsUrl), 200);
    await attack(portOf(address), new Random(first), {
      kinds: BAD_HTTP2,
      inputs: INPUTS,
      patienceMs: PATIENCE_MS,
      during: (sent) => memory.sample(sent),
    });
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

/** Makes one call after another over a separate connection. Each must succeed. */
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

/** Parses a server's counts of calls by method. */
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
