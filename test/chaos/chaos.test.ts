/** `npm run chaos` in short; `CHAOS_SEED` has the same faults happen again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_KINDS } from "../../chaos/plan.ts";
import { runChaos } from "../../chaos/run.ts";
import { table } from "../../chaos/table.ts";
import { realCollector, realPrometheus } from "../stack/programs.ts";
import { skipWithout } from "../tools.ts";

const SECONDS = 45;

const collector = await realCollector();
const prometheus = await realPrometheus();
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

test(
  `processes are killed, cut off, and lose the Collectors, Prometheus and disk: no count is lost (CHAOS_SEED=${seed})`,
  {
    skip: skipWithout(collector, "the Collector") || skipWithout(prometheus, "Prometheus"),
    timeout: 600_000,
  },
  async (t) => {
    const results = await runChaos({
      seed,
      seconds: SECONDS,
      aborted: new Promise((_, reject) => {
        t.signal.addEventListener("abort", () => reject(new Error("The test was given up")));
      }),
      log: (line) => t.diagnostic(line),
    });
    for (const line of table(results).split("\n")) t.diagnostic(line);
    assert.deepEqual(results.failures, []);
    for (const { runtime, sent, served, scrapes } of results.runtimes) {
      assert.ok(sent > 10 * SECONDS && served > 10 * SECONDS, `${runtime}: ${sent}, ${served}`);
      assert.ok(scrapes > SECONDS / 2, `${runtime}: ${scrapes} scrapes`);
    }
    const kinds = FAULT_KINDS.filter((kind) => kind !== "disk full" || results.diskFilled);
    assert.deepEqual(Object.keys(results.faults).sort(), kinds.toSorted());
  },
);
