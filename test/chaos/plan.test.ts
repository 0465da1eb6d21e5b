import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_KINDS, LEAST_SECONDS, planFaults } from "./plan.ts";
import { Random } from "../support/random.ts";

test("the shortest run has each kind of fault for any seed, and the last fault ends in time", () => {
  const durationMs = LEAST_SECONDS * 1000;
  for (let seed = 0; seed < 1000; seed++) {
    const plan = planFaults(new Random(seed), durationMs);
    const kinds = new Set(plan.map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), FAULT_KINDS.toSorted(), `seed ${seed}`);
    for (const { atMs, awayMs } of plan) assert.ok(atMs + awayMs < durationMs, `seed ${seed}`);
  }
});

test("the same seed plans the same faults, another seed plans others", () => {
  const plan = (seed: number) => planFaults(new Random(seed), 600_000);
  assert.deepEqual(plan(1), plan(1));
  assert.notDeepEqual(plan(1), plan(2));
});
