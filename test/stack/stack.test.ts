import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { findExecutable } from "../../stack/executable.ts";
import { CODELAB_QUERIES, graphUrl, resultUrl } from "../../stack/queries.ts";
import { eventually } from "../support/eventually.ts";
import { PROJECT, Script } from "../support/script.ts";
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
  assert.equal((await assertLinksOpen(stack)).length, 7);
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

test("storage without a Collector: VictoriaMetrics has the same data", withStorage, async (t) => {
  const bin = await programs(t, "prometheus", "victoria-metrics");
  const stack = await RunningStack.start(t, ["--storage"], {
    PATH: bin,
    // Has no Collector. The client finds the libraries in Deno's own cache.
    XDG_CACHE_HOME: bin,
    DENO_DIR: process.env["DENO_DIR"] ??
      join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "deno"),
  });
  const url = await stack.ready();
  assert.deepEqual(await jobs(url), ["echo-client", "echo-server", "prometheus"]);
  const gaps = stack.lines.filter((line) =>
    /\bGo is missing\. Install Go .*otelcol.*\)\.(?!\.)/.test(line)
  );
  assert.equal(gaps.length, 2, "once at the start, and once with the links");
  assert.match(
    stack.text,
    /going on without it: Prometheus scrapes the scripts, as with --pull$/m,
  );
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

test("without Prometheus, the live pages serve and the stack says how to install it", {
  timeout: 120_000,
}, async (t) => {
  const environment = { PATH: await programs(t, "apt-get") };
  const stack = await RunningStack.start(t, [], environment);
  await stack.printed(/Ctrl-C stops everything$/);
  assert.equal((await assertLinksOpen(stack)).length, 4);
  const advice = stack.lines.filter((line) =>
    /prometheus is not on the PATH; install it with `.*apt-get install .* prometheus`, or/.test(
      line,
    )
  );
  assert.equal(advice.length, 2, "once at the start, and once with the links");
  const pids = await stack.processes();
  assert.equal(pids.length, 2);
  assert.equal(await stack.service.stop(), "exit code 0");
  await stack.assertLeavesNothing(pids);

  const storage = await RunningStack.start(t, ["--storage"], environment);
  assert.equal(await storage.service.ended, "exit code 1");
  assert.match(storage.text, /prometheus is not on the PATH;/);
  assert.doesNotMatch(storage.text, /starting/);
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
    const standard = [50051, 9464, 9465, 4318, 4317, 8889, 8888, 13133, 9090];
    for (const port of standard) await occupy(t, port);
    const stack = await RunningStack.start(t);
    const url = await stack.ready();
    assert.deepEqual(await jobs(url), ["collector", "collector-telemetry", "prometheus"]);
    await assertCodelabWorks(stack, url);
    assert.equal((await assertLinksOpen(stack)).length, 6);
    await assertShown(stack);
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
      assertInterpolationIsTrue(stack, bounds.map(Number));
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

/** Asserts that what the stack says of the median is true of the buckets with these bounds. */
function assertInterpolationIsTrue(stack: RunningStack, bounds: readonly number[]): void {
  const line =
    stack.lines[stack.lines.findIndex((line) => line.includes("histogram_quantile%")) + 1];
  const [duration, shown, lower, upper] =
    /calls of (\S+) s read as (\S+) s: .* from (\S+) to (\S+) s$/
      .exec(line ?? "")?.slice(1).map(Number) ?? [];
  assert.equal(duration, 2, "the delay of the server, by default");
  const sorted = [...new Set(bounds)].sort((a, b) => a - b);
  assert.equal(sorted[sorted.indexOf(lower!) + 1], upper);
  assert.equal(shown, (lower! + upper!) / 2);
}

/** Asserts that each printed address answers and that the block of links has all its parts. */
async function assertLinksOpen(stack: RunningStack): Promise<string[]> {
  const links = stack.lines.flatMap((line) => line.match(/http:\/\/\S+/g) ?? []);
  for (const link of links) assert.equal((await fetch(link)).status, 200, link);

  const line = (pattern: RegExp) => stack.lines.find((line) => pattern.test(line)) ?? "";
  const pages = line(/live pages: /).match(/http:\/\/\S+/g) ?? [];
  const titles = await Promise.all(
    pages.map(async (page) => /<title>([^:]*)/.exec(await (await fetch(page)).text())?.[1]),
  );
  assert.deepEqual(titles, ["echo-server", "echo-client"]);
  const [, dashboard = ""] = /dashboard for Grafana: (.*)/.exec(line(/dashboard/)) ?? [];
  assert.ok(JSON.parse(await readFile(join(PROJECT, dashboard), "utf8")).panels.length > 0);
  return links;
}

/** Asserts that docs/collector.md shows the links as this stack, whose ports differ, prints them. */
async function assertShown(stack: RunningStack): Promise<void> {
  const document = await readFile(join(PROJECT, "docs/collector.md"), "utf8");
  const [, shown = ""] = /<!-- stack -->\n\n```text\n([^]*?)\n```/.exec(document) ?? [];
  const lines = stack.lines.map((line) => line.replace(/^stack +\| /, ""));
  const printed = lines.slice(lines.findIndex((line) => line.startsWith("ready.")));
  // Debian's Prometheus has the targets on another page.
  const masked = (text: string) => text.replaceAll(/:\d+\//g, ":PORT/").replace("/classic/", "/");
  assert.equal(masked(printed.join("\n")), masked(shown));
}

/** Asserts that running clients print nothing after the links. */
async function assertLinksStay(stack: RunningStack): Promise<void> {
  const metrics = stack.lines.flatMap((line) =>
    /metrics: .* (http:\S+)$/.exec(line)?.[1] ?? []
  )[0]!;
  const started = async () => {
    const text = await (await fetch(metrics)).text();
    return Number(/^grpc_client_attempt_started_total\{.*\} (\d+)/m.exec(text)![1]);
  };
  const before = await started();
  await eventually(async () => assert.ok(await started() >= before + 3), 30_000);
  assert.match(stack.lines.at(-1)!, /Ctrl-C stops everything$/);
}

/** Returns a PATH with the runtimes and these programs, or stand-ins for those that are missing. */
async function programs(t: TestContext, ...names: string[]): Promise<string> {
  const bin = await mkdtemp(join(tmpdir(), "stack-programs-"));
  t.after(() => rm(bin, { recursive: true }));
  for (const name of ["node", "bun", "deno", ...names]) {
    await symlink(await findExecutable(name) ?? "/bin/false", join(bin, name));
  }
  return bin;
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
