/** Hostile requests at `/metrics` are answered or cut off, and disturb neither scrapes nor calls. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Random, seed } from "../support/random.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import { attack } from "./attack.ts";
import type { Outcome } from "./attack.ts";
import { BAD_HTTP } from "./bad-http.ts";
import { Memory, portOf, repeated } from "./watch.ts";

const INPUTS = 10_000;
/** Fewer than the listener keeps open: near the limit the result would depend on the machine's load. */
const HELD = 400;
const PATIENCE_MS = 30_000;
const MOST_MORE_BYTES = 400e6;
const METHOD = "grpc.examples.echo.Echo/UnaryEcho";

const SECRET = "s3cretXq7Zw9Lk2";
const folder = mkdtempSync(join(tmpdir(), "metrics-port-"));
after(() => rmSync(folder, { recursive: true }));
const tokenFile = join(folder, "token");
writeFileSync(tokenFile, SECRET);

for (const runtime of RUNTIMES) {
  test(
    `${runtime}: 10,000 bad requests and ${HELD} held connections at /metrics disturb no client`,
    {
      timeout: 600_000,
    },
    async (t) => {
      const first = seed();
      console.log(`${runtime}: SEED=${first}`);
      const { script, address, metricsUrl } = await startServer(t, runtime, {
        GRPC_METRICS_BEARER_TOKEN_FILE: tokenFile,
      });
      const { script: client } = await startClient(t, runtime, {
        ECHO_ADDR: address,
        ECHO_QPS: "100",
        ECHO_CONCURRENCY: "10",
      });
      const quiet = await client.printed(/^\s*5 s .*/m);
      const port = portOf(new URL(metricsUrl).host);
      const memory = new Memory(script.pid);
      const texts: string[] = [];
      const scrapes = repeated(async () => {
        texts.push(await scrape(metricsUrl, { authorization: `Bearer ${SECRET}` }));
      }, 100);
      const held = holdConnections(port);
      const statuses = new Map<string, number>();
      await attack(port, new Random(first), {
        kinds: BAD_HTTP,
        inputs: INPUTS,
        patienceMs: PATIENCE_MS,
        during(sent, outcome) {
          memory.sample(sent);
          for (const status of checkOutcome(outcome)) {
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
          }
        },
      });
      const reopened = held.stop();
      const scraped = await scrapes.stop();
      assert.equal(await client.stop(), 0);
      const summary = client.stdout.slice(client.stdout.indexOf("Summary:"));
      const [, calls] = /Calls +(\d+)\n/.exec(summary) ?? [];
      console.log(
        `${runtime}: answers ${JSON.stringify(Object.fromEntries([...statuses].sort()))}; ` +
          `${reopened} slow connections; ${scraped.times} scrapes, ` +
          `the longest wait ${
            scraped.longestMs.toFixed(0)
          } ms; memory ${memory}\nbefore: ${quiet}\n${summary}`,
      );
      assert.doesNotMatch(summary, /^Errors:/m);
      assert.ok(scraped.times > 0);
      const counted = texts.map(startedCalls);
      assert.deepEqual(counted, counted.toSorted((a, b) => a - b));
      const last = await scrape(metricsUrl, { authorization: `Bearer ${SECRET}` });
      assert.equal(startedCalls(last), Number(calls));
      assert.match(
        last,
        new RegExp(
          `^grpc_server_call_duration_seconds_count\\{.*grpc_status="OK".*\\} ${calls}$`,
          "m",
        ),
      );
      assert.ok(memory.growthAt(INPUTS) < MOST_MORE_BYTES, `${memory}`);
      assert.equal(await script.stop(), 0);
      assert.equal(script.stderr, "");
      assert.ok(!script.stdout.includes(SECRET));
    },
  );
}

/** Checks that an answer without authentication reveals nothing. Returns the statuses in it. */
function checkOutcome({ kind, answer, leftOpen }: Outcome): string[] {
  assert.ok(!leftOpen, `${kind}: neither answered nor closed in ${PATIENCE_MS} ms`);
  assert.doesNotMatch(answer, /grpc_|process_|promhttp_|<h1>|Healthy|\.ts|node:/, kind);
  assert.ok(!answer.includes(SECRET), kind);
  const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => status!);
  assert.deepEqual(statuses.filter((status) => /^[^145]/.test(status)), [], `${kind}: ${answer}`);
  return statuses;
}

function startedCalls(text: string): number {
  const [, calls] =
    new RegExp(`^grpc_server_call_started_total\\{.*"${METHOD}".*\\} (\\d+)$`, "m").exec(text) ??
      [];
  return Number(calls);
}

/**
 * Holds connections open, and opens closed ones again. A third of them send nothing, a third send an
 * unfinished header, and a third extend such a header by one byte at a time.
 */
function holdConnections(port: number) {
  const sockets = new Set<ReturnType<typeof connect>>();
  let stopped = false;
  let opened = 0;
  function hold(kind: number): void {
    if (stopped) return;
    opened++;
    const socket = connect(port, "127.0.0.1");
    sockets.add(socket);
    let timer: NodeJS.Timeout | undefined;
    socket.on("error", () => {}).resume().on("connect", () => {
      if (kind > 0) socket.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
      if (kind > 1) timer = setInterval(() => socket.write("x"), 500);
    }).on("close", () => {
      clearInterval(timer);
      sockets.delete(socket);
      // Not at once, because this process runs the attackers too.
      setTimeout(hold, 1000, kind);
    });
  }
  for (let i = 0; i < HELD; i++) hold(i % 3);
  return {
    /** Stops and returns how many connections were opened. */
    stop(): number {
      stopped = true;
      for (const socket of sockets) socket.destroy();
      return opened;
    },
  };
}
