// Tests of `npm run collector` and `npm run prometheus`.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { collectorEnvironment } from "../../stack/collector/environment.ts";
import { freePorts } from "../../stack/ports.ts";
import { missingPrometheus } from "../../stack/prometheus-command.ts";
import { Service } from "../../stack/service.ts";
import { eventually } from "../support/eventually.ts";
import { PROJECT, Script } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";

const collector = await realCollector();

for (
  const [how, stop] of Object.entries({
    "Ctrl-C": (command: Service) => command.stop(),
    "SIGTERM to the command alone": (command: Service) => {
      process.kill(command.pid!, "SIGTERM");
      return command.ended;
    },
  })
) {
  test(`the Collector runs until ${how}`, {
    skip: skipWithout(collector, "the Collector"),
    timeout: 60_000,
  }, async (t) => {
    const ports = await freePorts({ grpc: 0, http: 0, prometheus: 0, health: 0, telemetry: 0 });
    const lines: string[] = [];
    const command = new Service({
      name: "collector",
      command: ["node", "stack/collector/run.ts"],
      environment: collectorEnvironment(ports),
      log: (line) => lines.push(line),
    });
    t.after(() => command.stop());
    await command.answers(`http://127.0.0.1:${ports.health}/`);
    for (const port of [ports.prometheus, ports.telemetry]) {
      await command.answers(`http://127.0.0.1:${port}/metrics`);
    }
    assert.equal(await stop(command), "exit code 0");
    const text = lines.join("\n");
    assert.match(text, /Everything is ready/);
    assert.match(text, /Shutdown complete/);
    // The log is readable: no resource in every line, no warning about the configuration.
    assert.doesNotMatch(text, /"resource"|\bwarn\b|deprecated/i);
    await assert.rejects(fetch(`http://127.0.0.1:${ports.health}/`));
  });
}

test("the command passes its arguments to the Collector", {
  skip: skipWithout(collector, "the Collector"),
  timeout: 60_000,
}, async (t) => {
  const command = ["node", "stack/collector/run.ts", "--config", "stack/collector/agent.yaml"];
  const script = new Script(t, command);
  assert.equal(await script.exit(), 1);
  assert.match(script.stderr, /requires a non-empty "endpoint"/);
});

test("Prometheus gets prometheus.yml, a loopback address and a temporary data folder", async (t) => {
  const { script } = await runPrometheus(
    t,
    `process.on("SIGTERM", () => process.exit(7)); setInterval(() => {}, 1000);
    console.log(JSON.stringify(process.argv.slice(2)));`,
  );
  const args = JSON.parse(await script.printed(/^(\[.*\])$/m)) as string[];
  const value = (name: string) => args.find((arg) => arg.startsWith(`${name}=`))?.split("=")[1];
  assert.equal(value("--config.file"), join(PROJECT, "prometheus.yml"));
  assert.equal(value("--web.listen-address"), "127.0.0.1:9090");
  const data = value("--storage.tsdb.path") ?? "";
  assert.ok(existsSync(data));
  assert.equal(await script.stop("SIGTERM"), 7);
  assert.equal(existsSync(data), false);
});

test("a second signal kills Prometheus and removes its data folder", async (t) => {
  const { script } = await runPrometheus(
    t,
    `process.on("SIGTERM", () => console.log("asked")); setInterval(() => {}, 1000);
    console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2) }));`,
  );
  const { pid, args } = JSON.parse(await script.printed(/^(\{.*\})$/m));
  script.signal("SIGTERM");
  script.signal("SIGTERM");
  await script.printed(/^asked$/m);
  // One Ctrl-C may arrive twice; a second one comes later.
  await delay(300);
  assert.equal(await script.stop("SIGINT"), 130);
  assert.equal(script.stdout.match(/^asked$/gm)?.length, 1);
  assert.match(script.stderr, /^SIGINT again, ends at once: \S+prometheus is killed\n$/);
  await eventually(() => assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }), 30_000);
  const data = (args as string[]).find((arg) => arg.startsWith("--storage.tsdb.path="));
  assert.equal(existsSync(data!.split("=")[1]!), false);
});

test("the command's exit code reflects the signal that killed Prometheus", async (t) => {
  const { script } = await runPrometheus(t, `process.kill(process.pid, "SIGKILL")`);
  assert.equal(await script.exit(), 137);
});

test("Prometheus keeps running when its output is closed", async (t) => {
  const { script } = await runPrometheus(
    t,
    `trap "exit 7" TERM; while :; do echo line; /bin/sleep 0.05; done`,
    "/bin/sh",
  );
  await script.printed(/^line$/m);
  await script.stopReading("stdout");
  await script.printedError(/echo/);
  assert.equal(await script.stop("SIGTERM"), 7);
});

test("without Prometheus, the command prints one line of advice", async (t) => {
  const { script } = await runPrometheus(t, undefined);
  assert.equal(await script.exit(), 1);
  assert.equal(script.stdout, "");
  assert.match(
    script.stderr,
    /^prometheus is not on the PATH; install it from https:\/\/prometheus\.io\/download\/\n$/,
  );
});

/** Commands that install Prometheus, by what a system has for it. The first ones win. */
const INSTALLATIONS: Readonly<Record<string, string>> = {
  "apt-get,brew": "sudo apt-get install -y --no-install-recommends prometheus",
  dnf: "sudo dnf install -y /usr/bin/prometheus",
  zypper: "sudo zypper install -y golang-github-prometheus-prometheus",
  pacman: "sudo pacman -S --noconfirm prometheus",
  apk: "sudo apk add prometheus",
  brew: "brew install prometheus",
};

test("the advice has the command of the system's package manager", async (t) => {
  const path = process.env["PATH"];
  t.after(() => process.env["PATH"] = path);
  t.mock.method(process as { getuid(): number }, "getuid", () => 1000);
  for (const [managers, command] of Object.entries(INSTALLATIONS)) {
    const bin = await mkdtemp(join(tmpdir(), "package-managers-"));
    t.after(() => rm(bin, { recursive: true }));
    for (const manager of managers.split(",")) {
      await writeFile(join(bin, manager), "", { mode: 0o755 });
    }
    process.env["PATH"] = bin;
    const advice = await missingPrometheus() ?? "";
    assert.ok(advice.includes(`${command}\`, or from https://prometheus.io/download/`), advice);
  }
  await writeFile(join(process.env["PATH"]!, "prometheus"), "", { mode: 0o755 });
  assert.equal(await missingPrometheus(), undefined);
});

/** Runs the command with a PATH that holds only a fake Prometheus of this code, or nothing. */
async function runPrometheus(
  t: TestContext,
  code: string | undefined,
  interpreter = process.execPath,
): Promise<{ script: Script }> {
  const bin = await mkdtemp(join(tmpdir(), "prometheus-command-"));
  t.after(() => rm(bin, { recursive: true }));
  if (code !== undefined) {
    await writeFile(join(bin, "prometheus"), `#!${interpreter}\n${code}`, { mode: 0o755 });
  }
  const command = [process.execPath, "stack/prometheus.ts"];
  return { script: new Script(t, command, { environment: { PATH: bin } }) };
}
