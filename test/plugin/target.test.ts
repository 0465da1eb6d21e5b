import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalTarget } from "../../plugin/mod.ts";
import { TARGETS } from "../support/targets.ts";

for (const [dialled, canonical] of TARGETS) {
  test(`the canonical form of "${dialled}" is ${canonical}`, () => {
    assert.equal(canonicalTarget(dialled), canonical);
  });
}

test("a scheme with a registered resolver is kept", () => {
  assert.equal(canonicalTarget("man:///two", (scheme) => scheme === "man"), "man:///two");
});

test("a percent sign that is not part of an escape is kept", () => {
  assert.equal(canonicalTarget("100%:1"), "dns:///100%:1");
});
