/** Runs the plugin's tests with each version of grpc-js that the plugin claims to support. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import project from "../../package.json" with { type: "json" };
import { PEERS } from "../../npm/manifest.ts";
import { copyInto, installedPackages } from "../support/npm-packages.ts";
import { PROJECT } from "../support/script.ts";
import type { Owner, Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { EXCEPTIONS } from "./exceptions.ts";
import manifest from "./package.json" with { type: "json" };

const run = promisify(execFile);

/** The prefix of the aliases under which `package.json` lists the versions. */
const ALIAS = "grpc-js-";
const versions = Object.keys(manifest.dependencies)
  .map((name) => name.replace(ALIAS, ""))
  .sort(compare);
const [oldest = "", newest = ""] = [versions[0], versions.at(-1)];

/** Compares versions such as `1.9.15` and `1.10.0` for sorting. */
function compare(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

function minorOf(version: string): number {
  return Number(version.split(".")[1]);
}

/**
 * Tests that do not depend on the version of grpc-js: those of the plugin's own data structures, of
 * the SDK's views, of its number of label sets, and, which takes longest, of its memory after 10,000 channels. Those of
 * copies use all versions by themselves.
 */
const ONCE =
  /\b(cardinality|channels|copies|message-frames|opentelemetry-views|series|target)\.test\.ts$/;
const files = globSync("test/plugin/*.test.ts", { cwd: PROJECT })
  .filter((file) => !ONCE.test(file));
/** A program that uses the types of other copies. */
const PROGRAM = "test/versions/types.ts";
/** A pattern that matches every test name. */
const EVERYTHING = ".";
/** The command that runs the tests whose names match a pattern, by runtime. */
const commands: Record<Runtime, (pattern: string) => string[]> = {
  node: (pattern) => [
    "node",
    "--test",
    "--test-reporter=tap",
    // Up to grpc-js 1.13, a retry that is pending when its call ends keeps the process alive.
    "--test-force-exit",
    "--test-concurrency=1",
    `--test-name-pattern=/${pattern}/`,
    ...files,
  ],
  bun: (pattern) => [
    "bun",
    "test",
    // The other runtimes isolate test files by default.
    "--isolate",
    "--timeout=60000",
    `--test-name-pattern=${pattern}`,
    ...files.map((file) => `./${file}`),
  ],
  deno: (pattern) => ["deno", "test", "-A", "--no-check", `--filter=/${pattern}/`, ...files],
};

test("the peer dependency starts at the oldest tested version", () => {
  // It includes versions to come: the plugin checks their shape when it runs.
  assert.equal(PEERS["@grpc/grpc-js"], `^${oldest}`);
  assert.equal(
    project.dependencies["@grpc/grpc-js"],
    newest,
    "all other tests use the newest version",
  );
});

test("every minor version between the oldest and the newest is tested", () => {
  const minors = [...new Set(versions.map(minorOf))];
  const all = Array.from({ length: minors.length }, (_, index) => minorOf(oldest) + index);
  assert.deepEqual(minors, all);
});

const packages = await installedPackages("test/versions");
const skip = skipWithout(packages, "the package registry");

test("the plugin accepts the types of other copies of grpc-js", { skip }, async (t) => {
  assert.ok(packages !== undefined);
  const folder = await copyInto(t, packages, ["plugin", "log", "tsconfig.json", PROGRAM]);
  const config = {
    extends: "./tsconfig.json",
    compilerOptions: { typeRoots: [join(PROJECT, "runtimes", "node_modules", "@types")] },
    files: [PROGRAM],
    include: [],
    exclude: [],
  };
  await writeFile(join(folder, "tsconfig.types.json"), JSON.stringify(config));
  await run("tsc", ["-p", "tsconfig.types.json"], { cwd: folder });
});

/** The names of all tests, filled by the first run. */
let names: string[] = [];

test(`grpc-js ${newest} on node`, { skip }, async (t) => {
  names = passedOnNode(await runTests(t, "node", newest, EVERYTHING));
  assert.ok(names.length > 0);
});

for (const version of versions.slice(0, -1)) {
  test(`grpc-js ${version} on node`, { skip }, (t) => passWithExceptions(t, "node", version));
}

// The tests of modules already run with the newest version on each runtime.
for (const runtime of ["bun", "deno"] as const) {
  test(`grpc-js ${oldest} on ${runtime}`, { skip }, (t) => passWithExceptions(t, runtime, oldest));
}

async function passWithExceptions(t: TestContext, runtime: Runtime, version: string) {
  const exceptions = EXCEPTIONS.filter(({ until }) => compare(version, until) <= 0);
  for (const { test, reason } of exceptions) {
    assert.ok(names.includes(test), `there is no test "${test}"`);
    t.diagnostic(`without "${test}": ${reason}`);
  }
  const expected = names.filter((name) => !exceptions.some(({ test }) => test === name));
  const output = await runTests(t, runtime, version, `^(${expected.map(literal).join("|")})$`);
  assert.equal(countPassed(output), expected.length);
}

/** Creates a folder where the plugin and its tests import one version of grpc-js. */
async function folderOf(owner: Owner, version: string): Promise<string> {
  assert.ok(packages !== undefined);
  const files = ["plugin", "log", "echo.proto", "test/plugin", "test/support"];
  const folder = await copyInto(owner, packages, files);
  await mkdir(join(folder, "node_modules", "@grpc"), { recursive: true });
  await symlink(
    join(packages, "node_modules", ALIAS + version),
    join(folder, "node_modules", "@grpc", "grpc-js"),
  );
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  await writeFile(
    join(folder, "deno.json"),
    '{ "nodeModulesDir": "manual" }\n',
  );
  return folder;
}

/** Runs the plugin's tests and returns the output. Throws if a test fails. */
async function runTests(
  owner: Owner,
  runtime: Runtime,
  version: string,
  pattern: string,
): Promise<string> {
  const folder = await folderOf(owner, version);
  const [file = "", ...args] = commands[runtime](pattern);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout, stderr } = await run(file, args, {
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    timeout: 300_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout + stderr;
}

function countPassed(output: string): number {
  const [, bun, deno] = /^ (\d+) pass$|(\d+) passed/m.exec(output) ?? [];
  return Number(bun ?? deno ?? passedOnNode(output).length);
}

/** The names of passed tests. Node also lists a file none of whose tests match; it is left out. */
function passedOnNode(output: string): string[] {
  return [...output.matchAll(/^ok \d+ - (?!.*\.test\.ts$)(.+)$/gm)].map(([, name]) => name!);
}

/** Escapes a text for use in a regular expression. */
function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
