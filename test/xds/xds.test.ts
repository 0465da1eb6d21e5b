/**
 * The plugin with clients of an xDS control plane. Runs the tests in `tests` on each runtime, and with
 * each release of `@grpc/grpc-js-xds` that older versions of grpc-js have. A copy of the project runs
 * next to these packages, which the project itself does not have.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { copyInto, installedPackages } from "../support/npm-packages.ts";
import { PROJECT, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { controlPlaneProgram } from "./control-plane-program.ts";

const run = promisify(execFile);

const program = await controlPlaneProgram();

const commands: Record<Runtime, string[]> = {
  // The xDS client never closes its connection, which would keep the process alive.
  node: ["node", "--test", "--test-reporter=tap", "--test-force-exit", "--test-isolation=none"],
  bun: ["bun", "test", "--timeout=60000"],
  deno: ["deno", "test", "-A", "--no-check"],
};

/** Runs the tests with the packages of a folder. Throws with the output if a test fails. */
async function runTests(t: TestContext, runtime: Runtime, source: string): Promise<void> {
  const packages = await installedPackages(source);
  if (skipWithout(packages, "the package registry") !== false) {
    t.skip("the package registry is missing");
    return;
  }
  assert.ok(packages !== undefined, "the package registry is missing");
  assert.ok(program !== undefined, "the control plane is missing");
  const folder = await copyInto(t, packages, [
    "plugin",
    "log",
    "echo.proto",
    "test/support",
    "test/xds",
  ]);
  await writeFile(join(folder, "deno.json"), '{ "nodeModulesDir": "manual" }\n');
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  const tests = (await readdir(join(PROJECT, "test/xds/tests"))).sort();
  const [file = "", ...args] = commands[runtime];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  await run(
    file,
    [...args, ...tests.map((name) => `./test/xds/tests/${name}`)],
    {
      cwd: folder,
      env: { ...env, NO_COLOR: "1", XDS_CONTROL_PLANE: program },
      maxBuffer: 64 * 1024 * 1024,
      timeout: 300_000,
    },
  ).catch((error) => assert.fail(`${error.message}\n${error.stdout}\n${error.stderr}`));
}

const skip = skipWithout(program, "the xDS control plane");

for (const runtime of RUNTIMES) {
  test(
    `clients of a control plane on ${runtime}`,
    { skip },
    (t) => runTests(t, runtime, "test/xds"),
  );
}

// There are no releases for grpc-js 1.11 and 1.12.
for (const minor of ["1.10", "1.13"]) {
  test(
    `clients of a control plane with grpc-js ${minor} on node`,
    { skip },
    (t) => runTests(t, "node", `test/versions/xds-${minor}`),
  );
}
