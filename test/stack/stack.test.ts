import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CODELAB_QUERIES, graphUrl, resultUrl } from "../../stack/queries.ts";
import { eventually } from "../support/eventually.ts";
import { Script } from "../support/script.ts";
import { skipWithout, victoriaMetrics } from "../tools.ts";
import { realCollector, realPrometheus } from "./programs.ts";
import { query, RunningStack } from "./running-stack.ts";

const prometheus = await realPrometheus();
const collector = prometheus && await realCollector();
const withPrometheus = { skip: skipWithout(prometheus, "Prometheus"), timeout: 180_000 };
const storage = prometheus && await victoriaMetrics();
const withStorage = {
  skip: skipWithout(storage, "Prometheus or VictoriaMetrics"),
  timeout: 180_000,
};
const withBoth = { skip: skipWithout(collector, "Prometheus or the Collector"), timeout: 180_000 };

test("pull: both queries have data, and Ctrl-C stops everything", withPrometheus, async (t) => {
  const stack = await RunningStack.start(t, ["--pull"]);
  const url = await stack.ready();
  assert.deepEqual(await jobs(url), ["echo-client", "echo-server", "prometheus"]);
  await assertCodelabWorks(stack, url);
  await assertLinksStay(stack);

  const pids = await stack.processes();
  assert.equal(pids.length, 3);
  // SIGINT to the process group, as a terminal does.
  assert.equal(await stack.service.stop(), "exit code 0");
  await stack.assertLeavesNothing(pids);
  // The client prints its summary before the server stops.
  assert.match(stack.text, /stopping[^]*client +\| Summary:[^]*stack +\| stopped$/);
  assert.doesNotMatch(stack.text, /UNAVAILABLE|stopped with/);
});

test("storage: both queries have the same data in VictoriaMetrics", withStorage, async (t) => {
  const stack = await RunningStack.start(t, ["--pull", "--storage"]);
  const url = await stack.ready();
  const links = stack.lines.flatMap((line) => /(http:\S+)\/api\/v1\/query\S+$/.exec(line) ?? []);
  assert.equal(links.length, 2 * CODELAB_QUERIES.length, stack.text);
  const stored = links[1]!;
  for (const expression of CODELAB_QUERIES) {
    const link = resultUrl(stored, expression);
    assert.ok(links.includes(link), link);
    assert.equal((await fetch(link)).status, 200);
    const labels = (samples: Awaited<ReturnType<typeof query>>) =>
      samples.map(({ metric }) => JSON.stringify(Object.entries(metric).sort())).sort();
    await eventually(async () =>
      assert.deepEqual(
        labels(await query(stored, expression)),
        labels(await query(url, expression)),
      )
    );
  }
  const pids = await stack.processes();
  assert.equal(pids.length, 4);
  assert.equal(await stack.service.stop(), "exit code 0");
  await stack.assertLeavesNothing(pids);
  assert.doesNotMatch(stack.text, /stopped with/);
});

test("a second signal kills everything at once", withPrometheus, async (t) => {
  const stack = await RunningStack.start(t, ["--pull"], { ECHO_DELAY_MS: "3600000" });
  await stack.printed(/everything runs/);
  const pids = await stack.processes();
  // The client cancels its call after 1 s, so all services still run.
  process.kill(await stack.processOf(/server\.ts/), "SIGSTOP");
  process.kill(stack.service.pid!, "SIGINT");
  await stack.printed(/Summary:/);
  await delay(300);
  process.kill(stack.service.pid!, "SIGINT");
  assert.equal(await stack.service.ended, "exit code 130");
  assert.match(stack.text, /^SIGINT again, ends at once: prometheus, server.* killed, /m);
  for (const pid of pids) {
    await eventually(() => assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }), 30_000);
  }
  await stack.assertLeavesNothing(pids);
});

test("all services start when the output is closed", withPrometheus, async (t) => {
  const script = new Script(t, ["node", "stack/stack.ts", "--pull"]);
  await script.printed(/starting prometheus$/m);
  await script.stopReading("stdout");
  await eventually(async () => {
    const children = await readFile(`/proc/${script.pid}/task/${script.pid}/children`, "utf8");
    assert.equal(children.trim().split(" ").length, 3);
  }, 60_000);
  assert.equal(await script.stop("SIGINT"), 0);
});

test(
  "push, on other ports where the standard ones are taken, and SIGTERM stops everything",
  withBoth,
  async (t) => {
    const standard = [50051, 4318, 4317, 8889, 8888, 13133, 9090];
    for (const port of standard) await occupy(t, port);
    const stack = await RunningStack.start(t);
    const url = await stack.ready();
    assert.deepEqual(await jobs(url), ["collector", "collector-telemetry", "prometheus"]);
    await assertCodelabWorks(stack, url);
    for (const port of standard) assert.doesNotMatch(stack.text, new RegExp(`:${port}\\b`));

    const pids = await stack.processes();
    assert.equal(pids.length, 4);
    process.kill(stack.service.pid!, "SIGTERM");
    assert.equal(await stack.service.ended, "exit code 0");
    await stack.assertLeavesNothing(pids);
    assert.doesNotMatch(stack.text, /UNAVAILABLE|stopped with/);
  },
);

for (
  const [name, command] of Object.entries({
    collector: /otel-collector\.yaml/,
    prometheus: /storage\.tsdb/,
    server: /server\.ts/,
    client: /client\.ts/,
  })
) {
  test(`${name} is killed: the stack reports it and stops everything`, withBoth, async (t) => {
    const stack = await RunningStack.start(t);
    await stack.printed(/everything runs/);
    const pids = await stack.processes();
    process.kill(await stack.processOf(command), "SIGKILL");
    assert.equal(await stack.service.ended, "exit code 1");
    assert.match(stack.text, new RegExp(`^stack +\\| ${name} stopped by itself: SIGKILL$`, "m"));
    await stack.assertLeavesNothing(pids);
  });
}

test("Ctrl-C during the start stops what has started", withPrometheus, async (t) => {
  const stack = await RunningStack.start(t, ["--pull"]);
  await stack.printed(/starting server/);
  const pids = await stack.processes();
  assert.equal(await stack.service.stop(), "exit code 0");
  assert.doesNotMatch(stack.text, /starting client/);
  await stack.assertLeavesNothing(pids);
});

test("the stack names a service that fails to start", withPrometheus, async (t) => {
  const stack = await RunningStack.start(t, ["--pull"], { ECHO_DELAY_MS: "soon" });
  assert.equal(await stack.service.ended, "exit code 1");
  assert.match(stack.text, /^server +\| ECHO_DELAY_MS="soon": must be /m);
  assert.match(stack.text, /^stack +\| server (stopped by itself|ended too early): exit code 1$/m);
});

test("an unknown argument is refused", { timeout: 60_000 }, async (t) => {
  for (const args of [["--push"], ["--pull", "--pull"], ["--storage", "--push"]]) {
    const stack = await RunningStack.start(t, args);
    assert.equal(await stack.service.ended, "exit code 1");
    assert.match(stack.text, /^Usage: npm run stack \[-- --pull --storage\]$/m);
  }
});

/**
 * Asserts that the queries have results with the labels of the pull path, and that their pages
 * exist.
 */
async function assertCodelabWorks(stack: RunningStack, prometheus: string): Promise<void> {
  for (const expression of CODELAB_QUERIES) {
    const samples = await query(prometheus, expression);
    assert.ok(samples.length > 0);
    for (const { metric } of samples) {
      assert.deepEqual(Object.keys(metric).filter((name) => name !== "le").sort(), [
        "grpc_method",
        "grpc_status",
        "grpc_target",
        "instance",
        "job",
        "otel_scope_name",
        "otel_scope_version",
      ]);
      assert.equal(metric["job"], "echo-client");
      assert.equal(metric["grpc_method"], "grpc.examples.echo.Echo/UnaryEcho");
      assert.equal(metric["otel_scope_name"], "grpc-js");
    }
    // Pull and push must write bounds the same way, or the series differ.
    if (samples.length > 1) {
      const bounds = samples.map(({ metric }) => metric["le"]);
      for (const bound of ["0.0", "1e-05", "2.0", "100.0", "+Inf"]) {
        assert.ok(bounds.includes(bound));
      }
    }
    const page = graphUrl(prometheus, expression);
    assert.ok(stack.lines.some((line) => line.endsWith(` ${page}`)), stack.text);
    const response = await fetch(page);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /Prometheus/);
  }
}

/** Asserts that each printed link answers, and that running clients print nothing after them. */
async function assertLinksStay(stack: RunningStack): Promise<void> {
  const ready = stack.lines.findIndex((line) => line.includes("ready."));
  const links = stack.lines.slice(ready).flatMap((line) => line.match(/http:\S+/g) ?? []);
  assert.equal(links.length, 5);
  for (const link of links) assert.equal((await fetch(link)).status, 200, link);

  const metrics = links.at(-1)!;
  const started = async () => {
    const text = await (await fetch(metrics)).text();
    return Number(/^grpc_client_attempt_started_total\{.*\} (\d+)/m.exec(text)![1]);
  };
  const before = await started();
  await eventually(async () => assert.ok(await started() >= before + 3), 30_000);
  assert.match(stack.lines.at(-1)!, /Ctrl-C stops everything$/);
}

/** Returns the jobs that Prometheus scrapes and asserts that each is up. */
async function jobs(prometheus: string): Promise<string[]> {
  const samples = await query(prometheus, "up");
  for (const { metric, value } of samples) assert.equal(value[1], "1", String(metric["job"]));
  return samples.map(({ metric }) => metric["job"] ?? "").sort();
}

/** Occupies a port unless another process already does. */
async function occupy(t: TestContext, port: number): Promise<void> {
  const server = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return;
  }
  t.after(() => void server.close());
}
