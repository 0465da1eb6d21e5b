import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { currentRuntime } from "../../../telemetry/runtime/mod.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const CHILD = "test/telemetry/runtime/observed-process.ts";
const EVERYWHERE = ["process.cpu", "process.resident_memory", "process.start_time"];
const HEAP = {
  node: "v8js.memory.heap.used",
  bun: "nodejs.heap_size.used",
  deno: "v8js.memory.heap.used",
};

const { name: runtime } = currentRuntime();

/** Runs a command that must end by itself, and returns the metrics that it printed. */
async function execute(file: string, args: string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(file, args, { cwd: ROOT, timeout: 30_000 });
  return JSON.parse(stdout);
}

function run(...options: string[]): Promise<Record<string, number>> {
  return execute(process.execPath, [...options, CHILD]);
}

function assertPresent(metrics: Record<string, number>): void {
  for (const name of [...EVERYWHERE, HEAP[runtime], "nodejs.eventloop.delay.max"]) {
    assert.ok((metrics[name] ?? 0) > 0, `${name}: ${metrics[name]}`);
  }
}

test("observers do not keep the process alive", async () => {
  const options = { node: [], bun: [], deno: ["run", "--quiet", "--allow-all"] }[runtime];
  const metrics = await run(...options);
  assertPresent(metrics);
  assert.equal("process.open_fds" in metrics, process.platform === "linux");
});

const LEAST = ["--allow-env=OTEL_*,GRPC_*,ECHO_*", "--allow-read=./echo.proto"];

function assertWithoutProc(metrics: Record<string, number>): void {
  assertPresent(metrics);
  const names = Object.keys(metrics).filter((name) => name.startsWith("process."));
  assert.deepEqual(names.sort(), EVERYWHERE);
}

test("the scripts' permissions on Deno suffice, and the metrics from /proc are left out", {
  skip: runtime !== "deno",
}, async () => {
  // With `--allow-read`, Deno reports that reading /proc is granted, and then refuses it.
  for (const permissions of [LEAST, ["--allow-read"]]) {
    assertWithoutProc(await run("run", "--quiet", "--no-prompt", ...permissions));
  }
});

test("on a terminal, Deno does not prompt for permissions", {
  skip: runtime !== "deno" || !existsSync("/usr/bin/script"),
}, async () => {
  const command = [`'${process.execPath}'`, "run", "--quiet", ...LEAST, CHILD].join(" ");
  // If Deno prompted, nothing would answer, and the test would time out.
  assertWithoutProc(await execute("/usr/bin/script", ["-qec", command, "/dev/null"]));
});
