/** A short `npm run chaos`. The variable `CHAOS_SEED` repeats the faults of an earlier run. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { FAULT_KINDS, LEAST_SECONDS } from "./plan.ts";
import type { Results } from "./results.ts";
import { realCollector, realPrometheus } from "../stack/programs.ts";
import { eventually } from "../support/eventually.ts";
import { Script } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { childrenOf, isRunning } from "./proc.ts";

/** Longer than a run may take besides calls and faults, so that it gives up by itself first. */
const SPARE_MS = 400_000;

const collector = await realCollector();
const prometheus = await realPrometheus();
const skip = skipWithout(collector, "the Collector") || skipWithout(prometheus, "Prometheus");
const seed = process.env["CHAOS_SEED"] ?? `${Math.floor(Math.random() * 2 ** 31)}`;

test(
  `no count is lost when processes, Collectors and Prometheus die and the disk fills up (CHAOS_SEED=${seed})`,
  { skip },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "chaos-test-"));
    t.after(() => rm(folder, { recursive: true }));
    const json = join(folder, "results.json");
    const chaos = startChaos(t, `--seed=${seed}`, `--json=${json}`);
    const exitCode = await chaos.exit(LEAST_SECONDS * 1000 + SPARE_MS);
    for (const line of chaos.stdout.trim().split("\n")) t.diagnostic(line);
    assert.equal(exitCode, 0, chaos.stderr);

    const { runtimes, faults, diskFilled } = JSON.parse(await readFile(json, "utf8")) as Results;
    for (const { runtime, sent, served, compared, scrapes } of runtimes) {
      for (const calls of [sent, served, compared]) {
        assert.ok(calls > 10 * LEAST_SECONDS, `${runtime}: ${sent}, ${served}, ${compared}`);
      }
      assert.ok(scrapes > LEAST_SECONDS / 2, `${runtime}: ${scrapes} scrapes`);
    }
    const kinds = FAULT_KINDS.filter((kind) => kind !== "disk full" || diskFilled);
    assert.deepEqual(Object.keys(faults).sort(), kinds.toSorted());
  },
);

test("an interrupted run leaves no program running", { skip }, async (t) => {
  const chaos = startChaos(t);
  await chaos.printed(/^(\d+) programs run$/m);
  const programs = childrenOf(chaos.pid);
  assert.ok(programs.length > 10, `${programs.length} programs`);

  assert.equal(await chaos.stop("SIGTERM"), 1);
  assert.match(chaos.stderr, /^Ended by SIGTERM$/m);
  await eventually(() => assert.deepEqual(programs.filter(isRunning), []));
});

function startChaos(t: TestContext, ...options: string[]): Script {
  // SIGKILL alone would leave the programs that it started running.
  t.after(() => chaos.stop("SIGTERM"));
  const chaos = new Script(t, [
    "node",
    "test/chaos/chaos.ts",
    `--seconds=${LEAST_SECONDS}`,
    ...options,
  ]);
  return chaos;
}
