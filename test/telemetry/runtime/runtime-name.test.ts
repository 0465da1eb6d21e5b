import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import {
  currentRuntime,
  runtimeResourceAttributes,
  runtimeWarning,
} from "../../../telemetry/runtime/mod.ts";

test("the current runtime is the one that runs this test", () => {
  const { name, version } = currentRuntime();
  const globals = globalThis as { Bun?: { version: string }; Deno?: { version: { deno: string } } };
  if (globals.Bun !== undefined) {
    assert.deepEqual([name, version], ["bun", globals.Bun.version]);
  } else if (globals.Deno !== undefined) {
    assert.deepEqual([name, version], ["deno", globals.Deno.version.deno]);
  } else {
    assert.deepEqual([name, `v${version}`], ["node", process.version]);
  }
});

test("resource attributes follow the semantic conventions", () => {
  const { name, version } = currentRuntime();
  assert.deepEqual(runtimeResourceAttributes(), {
    "process.runtime.name": { node: "nodejs", bun: "bun", deno: "deno" }[name],
    "process.runtime.version": version,
  });
});

test("Deno 2.9.4 and later get a warning of one line that says what to use", () => {
  for (const version of ["2.9.4", "2.9.6", "2.9.10", "2.10.0", "3.0.0", "2.9.4-rc.1"]) {
    const warning = runtimeWarning({ name: "deno", version });
    assert.match(warning ?? "", /^[^\n]*denoland\/deno\/issues\/36788[^\n]*Deno 2\.9\.3\.$/);
    assert.ok(warning?.includes(`Deno ${version} `), String(warning));
  }
});

test("other runtimes get no warning", () => {
  for (const version of ["2.9.3", "2.8.9", "2.7.14", "1.46.3"]) {
    assert.equal(runtimeWarning({ name: "deno", version }), undefined, version);
  }
  assert.equal(runtimeWarning({ name: "node", version: "24.21.0" }), undefined);
  assert.equal(runtimeWarning({ name: "bun", version: "3.0.0" }), undefined);
});
