import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalTarget } from "../../plugin/mod.ts";
import { TARGETS } from "../support/targets.ts";

for (const [dialled, canonical] of TARGETS) {
  test(`the canonical form of "${dialled}" is ${canonical}`, () => {
    assert.equal(canonicalTarget(dialled), canonical);
  });
}

test("a scheme that the application registered a resolver for is kept", () => {
  assert.equal(canonicalTarget("man:///two", (scheme) => scheme === "man"), "man:///two");
});

test("a percent sign that escapes nothing is kept", () => {
  assert.equal(canonicalTarget("100%:1"), "dns:///100%:1");
});
