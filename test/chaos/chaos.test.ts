/** `npm run chaos` in short; `CHAOS_SEED` has the same faults happen again. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
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
import { childrenOf } from "./proc.ts";

/** What a run takes at most besides the time of calls and faults; it gives up by itself before. */
const SPARE_MS = 400_000;

const collector = await realCollector();
const prometheus = await realPrometheus();
const skip = skipWithout(collector, "the Collector") || skipWithout(prometheus, "Prometheus");
const seed = process.env["CHAOS_SEED"] ?? `${Math.floor(Math.random() * 2 ** 31)}`;

test(
  `processes are killed, cut off, and lose the Collectors, Prometheus and disk: no count is lost (CHAOS_SEED=${seed})`,
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

test("a run that is interrupted leaves nothing running", { skip }, async (t) => {
  const chaos = startChaos(t);
  await chaos.printed(/^(\d+) programs run$/m);
  const programs = childrenOf(chaos.pid);
  assert.ok(programs.length > 10, `${programs.length} programs`);

  assert.equal(await chaos.stop("SIGTERM"), 1);
  assert.match(chaos.stderr, /^Ended by SIGTERM$/m);
  await eventually(() => assert.deepEqual(programs.filter(isRunning), []));
});

function startChaos(t: TestContext, ...options: string[]): Script {
  // Asked first to stop what it has started; killed at once, it could not.
  t.after(() => chaos.stop("SIGTERM"));
  const chaos = new Script(t, [
    "node",
    "test/chaos/chaos.ts",
    `--seconds=${LEAST_SECONDS}`,
    ...options,
  ]);
  return chaos;
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
