/** A flood at `/metrics` slows calls no more with `Expect` headers than without. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { portOf } from "./watch.ts";

const CONNECTIONS = 20;
const ROUNDS = 2;
/** Expectations that a server need not support. `node:http` would answer them by itself. */
const EXPECT = ["Expect: junk\r\n", "Expect:\r\n"];
/** Below this latency, in milliseconds, other work of the machine decides. */
const NOISE_MS = 25;

const folder = mkdtempSync(join(tmpdir(), "metrics-flood-"));
after(() => rmSync(folder, { recursive: true }));
const tokenFile = join(folder, "token");
writeFileSync(tokenFile, "secret\n");

for (const runtime of RUNTIMES) {
  test(`${runtime}: a flood of requests with Expect headers is like any other`, {
    timeout: 300_000,
  }, async (t) => {
    const { script, address, metricsUrl } = await startServer(t, runtime, {
      GRPC_METRICS_BEARER_TOKEN_FILE: tokenFile,
    });
    const port = portOf(new URL(metricsUrl).host);
    const latencies = { plain: [] as number[], expecting: [] as number[] };
    const opened = { plain: 0, expecting: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      for (const kind of ["plain", "expecting"] as const) {
        const headers = kind === "plain" ? [""] : EXPECT;
        const stop = flood(port, headers.map((header) => `${REQUEST}${header}\r\n`));
        const latency = p99(t, runtime, address).finally(() => opened[kind] += stop());
        latencies[kind].push(await latency);
      }
    }
    const [plain, expecting] = [Math.min(...latencies.plain), Math.min(...latencies.expecting)];
    console.log(
      `${runtime}: p99 of calls ${plain} ms, with an Expect header ${expecting} ms; ` +
        `${opened.plain} and ${opened.expecting} connections, each closed at its first batch`,
    );
    assert.ok(opened.expecting > opened.plain / 2, `${opened.expecting}, ${opened.plain}`);
    assert.ok(expecting <= 2 * Math.max(plain, NOISE_MS), `${expecting} ms, ${plain} ms`);
    const text = await scrape(metricsUrl, { authorization: "Bearer secret" });
    assert.match(text, /^grpc_server_call_started_total/m);
    assert.equal(await script.stop(), 0);
    assert.equal(script.stderr, "");
  });
}

const REQUEST = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
/** More requests than a connection may have in progress, but few enough to leave time for calls. */
const BATCH = 20;
const BATCH_EVERY_MS = 100;
const OPEN_AGAIN_MS = 250;

/**
 * Sends batches of requests over several connections without reading answers. Opens closed
 * connections again.
 *
 * @param requests The requests that the connections send, in turn.
 * @returns A function that ends the flood and returns how many connections were opened.
 */
function flood(port: number, requests: readonly string[]): () => number {
  const sockets = new Set<ReturnType<typeof connect>>();
  let stopped = false;
  let opened = 0;
  function open(index: number): void {
    if (stopped) return;
    opened++;
    const batch = requests[index % requests.length]!.repeat(BATCH);
    const socket = connect(port, "127.0.0.1").pause();
    socket.write(batch);
    const timer = setInterval(() => socket.write(batch), BATCH_EVERY_MS);
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => {
      clearInterval(timer);
      sockets.delete(socket);
      // Not at once, because the client shares the machine.
      setTimeout(open, OPEN_AGAIN_MS, index);
    });
  }
  for (let i = 0; i < CONNECTIONS; i++) open(i);
  return () => {
    stopped = true;
    for (const socket of sockets) socket.destroy();
    return opened;
  };
}

/** Makes calls for 2 s and returns their 99th percentile in milliseconds. No call may fail. */
async function p99(
  t: Parameters<typeof startClient>[0],
  runtime: Runtime,
  address: string,
): Promise<number> {
  const { script } = await startClient(t, runtime, {
    ECHO_ADDR: address,
    ECHO_QPS: "100",
    ECHO_CONCURRENCY: "10",
    ECHO_DURATION_S: "2",
  });
  assert.equal(await script.exit(), 0, `${script.stdout}${script.stderr}`);
  const summary = script.stdout.slice(script.stdout.indexOf("Summary:"));
  assert.doesNotMatch(summary, /^Errors:/m);
  return Number(/p99 +([\d.]+) ms/.exec(summary)?.[1]);
}
