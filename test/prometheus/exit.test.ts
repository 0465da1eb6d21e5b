import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHILD = "test/prometheus/endpoint-process.ts";
// The only permission that the endpoint needs on Deno: its address.
const LEAST = ["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1"];

/** Starts the child in the runtime of this test. The child must end by itself. */
function start(mode: string) {
  const options = process.versions["deno"] === undefined ? [] : LEAST;
  const child = spawn(process.execPath, [...options, CHILD, mode], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const ended = once(child, "exit").then(([code, signal]) => {
    clearTimeout(timer);
    return code ?? signal;
  });
  return { child, ended };
}

test("an open endpoint does not keep the process alive", async () => {
  const { child, ended } = start("listen");
  assert.equal(await text(child.stdout), "listening\n");
  assert.equal(await ended, 0);
});

test("connections to an endpoint do not keep the process alive", async () => {
  const { child, ended } = start("wait");
  const [url] = await once(child.stdout.setEncoding("utf8"), "data");
  const port = Number(new URL(String(url)).port);
  const [used, silent] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  let answer = "";
  used.on("data", (bytes) => answer += bytes).on("error", () => {});
  silent.on("error", () => {});
  await once(silent, "connect");
  used.write("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => assert.match(answer, /^c_total[^]*\r\n0\r\n\r\n$/m));
  child.stdin.write("end\n");
  assert.equal(await ended, 0);
  used.destroy();
  silent.destroy();
});

test("a process stays alive until close() is done", async () => {
  const { child, ended } = start("close");
  assert.equal(await text(child.stdout), "closed\n");
  assert.equal(await ended, 0);
});
