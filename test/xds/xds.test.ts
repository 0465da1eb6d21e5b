/**
 * The plugin with clients of an xDS control plane. Runs the tests in `tests` on each runtime, and with
 * each release of `@grpc/grpc-js-xds` that older versions of grpc-js have. A copy of the project runs
 * next to these packages, which the project itself does not have.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";
import { copyInto, installedPackages } from "../support/npm-packages.ts";
import { PROJECT, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";

const run = promisify(execFile);

const SOURCES = join(PROJECT, "test/xds/control-plane");
const program = await controlPlane();

/** Builds the program of the control plane if needed. Prints the reason and returns undefined if it cannot. */
async function controlPlane(): Promise<string | undefined> {
  const files = (await readdir(SOURCES)).sort();
  const building = cachedGoProgram({
    title: "The xDS control plane",
    folder: "xds-control-plane",
    file: "control-plane",
    sources: await Promise.all(files.map((file) => readFile(join(SOURCES, file)))),
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: "There is no xDS control plane yet; building one, once",
    async build(go, context) {
      const path = join(context.folder, "control-plane");
      // Without cgo it needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "-C", SOURCES, "build", "-o", path, "."];
      await runStep("Building the xDS control plane", command, { ...context, environment });
      return path;
    },
  }, { log: console.log });
  return await building.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}

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
