/** Applications under Jest and Vitest, which load modules in their own ways. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { installedTarball } from "../package/tarball.ts";
import { run } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { installedProjects } from "./projects.ts";
import { assertTraffic, recordedBy, startProgram } from "./pushed.ts";

const folderOf = await installedProjects(await installedTarball(), ["test-runners"]);
const folder = folderOf("test-runners") ?? "";
const skip = skipWithout(folderOf("test-runners"), "the package registry");

for (const file of ["jest.test.cjs", "jest-global.test.cjs"]) {
  test(`an application under Jest is recorded exactly: ${file}`, { skip }, async (t) => {
    const options = ["--rootDir=programs/runners", `--testMatch=**/${file}`];
    const command = run("node", "node_modules/jest/bin/jest.js", ...options);
    const { script } = await startProgram(t, folder, command);
    // Jest waits for an application that leaves something open.
    assert.equal(await script.exit(), 0, script.stdout + script.stderr);
    assert.doesNotMatch(script.stderr, /warning|did not exit/i);
    assertTraffic(JSON.parse(await script.printed(/^Metrics: (.+)/m)));
  });
}

test("an application under Vitest is recorded exactly", { skip }, async (t) => {
  const test = "programs/runners/vitest.test.mjs";
  const command = run("node", "node_modules/vitest/vitest.mjs", "run", test);
  assertTraffic(await recordedBy(t, folder, command));
});
