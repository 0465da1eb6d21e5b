/**
 * Runs the tests of the libraries with the newest versions of grpc-js and OpenTelemetry, whatever the
 * project pins: `npm run test:newest`. CI does so every week, to see a change before users do.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { npm } from "../../npm/tools.ts";
import project from "../../package.json" with { type: "json" };
import { copyInto } from "../support/npm-packages.ts";
import { PROJECT, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";

const run = promisify(execFile);

const PACKAGES = join(PROJECT, ".cache", "newest");
const LIBRARIES = ["plugin", "prometheus", "telemetry", "telemetry.ts", "log", "tls"];
const BESIDES = ["echo", "echo.proto", "stack", "test", "docs", "tsconfig.json", "package.json"];
const commands: Record<Runtime, string[]> = {
  node: ["node", "--test", "--test-concurrency=1"],
  bun: ["bun", "test", "--isolate", "--timeout=60000"],
  deno: ["deno", "test", "-A", "--no-check"],
};
const files = globSync("test/{plugin,prometheus,telemetry/*}/*.test.ts", { cwd: PROJECT })
  .map((file) => `./${file}`);

const folder = await installNewest();

test("types", async () => {
  const config = JSON.stringify({ extends: "./tsconfig.json", include: LIBRARIES });
  await writeFile(join(folder, "tsconfig.newest.json"), config);
  await passes("tsc", "-p", "tsconfig.newest.json");
});

for (const runtime of RUNTIMES) {
  test(`tests on ${runtime}`, async () => {
    const [file = "", ...args] = commands[runtime];
    await passes(file, ...args, ...files);
  });
}

/** Installs the newest versions, prints those that the project does not have, and copies the project. */
async function installNewest(): Promise<string> {
  await rm(PACKAGES, { recursive: true, force: true });
  await mkdir(PACKAGES, { recursive: true });
  const pinned = Object.entries(project.dependencies);
  const dependencies = pinned.map(([name, version]) => [
    name,
    /^@(grpc|opentelemetry)\//.test(name) ? "latest" : version,
  ]);
  await writeFile(
    join(PACKAGES, "package.json"),
    JSON.stringify({ private: true, dependencies: Object.fromEntries(dependencies) }),
  );
  await npm(PACKAGES, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-online");
  for (const [name, own] of pinned) {
    const { version } = JSON.parse(
      await readFile(join(PACKAGES, "node_modules", name, "package.json"), "utf8"),
    );
    if (version !== own) console.log(`${name} ${version} instead of ${own}`);
  }
  const folder = await copyInto({ after }, PACKAGES, [...LIBRARIES, ...BESIDES]);
  await symlink(join(PROJECT, "runtimes"), join(folder, "runtimes"), "dir");
  await writeFile(join(folder, "deno.json"), '{ "nodeModulesDir": "manual" }\n');
  return folder;
}

/** Runs a command in the copy of the project. Fails with its output. */
async function passes(file: string, ...args: string[]): Promise<void> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  await run(file, args, {
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    maxBuffer: 64 * 1024 * 1024,
  }).catch(({ stdout, stderr }) => assert.fail(`${file} fails\n${stdout}\n${stderr}`));
}
