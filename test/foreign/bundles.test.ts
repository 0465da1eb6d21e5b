/** Minified programs in one file, which contain grpc-js, the SDK and the plugin. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { installedTarball } from "../package/tarball.ts";
import { run } from "../support/script.ts";
import { seriesOf } from "../support/series.ts";
import { skipWithout } from "../tools.ts";
import { installedProjects } from "./projects.ts";
import { assertTraffic, finished, startProgram } from "./pushed.ts";

const execute = promisify(execFile);
const folderOf = await installedProjects(await installedTarball(), ["bundlers", "sdk-2"]);
const skip = skipWithout(folderOf("bundlers"), "the package registry");
const folder = folderOf("bundlers") ?? "";

const ESBUILD = [
  join(folder, "node_modules/.bin/esbuild"),
  "--bundle",
  "--platform=node",
  "--minify",
  "--log-level=error",
];
/** An ES module has no `require`, which the CommonJS modules in the bundle use. */
const REQUIRE =
  '--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
const BUN = ["bun", "build", "--minify"];

/** How a program is bundled, and the commands that run the bundle. */
interface Bundle {
  readonly name: string;
  readonly file: string;
  build(source: string, file: string): string[];
  readonly commands: (file: string) => string[][];
}

const BUNDLES: readonly Bundle[] = [
  {
    name: "esbuild, CommonJS",
    file: "esbuild.cjs",
    build: (source, file) => [...ESBUILD, source, "--format=cjs", `--outfile=${file}`],
    commands: (file) => [run("node", file), run("bun", file), run("deno", file)],
  },
  {
    name: "esbuild, ES module",
    file: "esbuild.mjs",
    build: (source, file) => [...ESBUILD, source, "--format=esm", REQUIRE, `--outfile=${file}`],
    commands: (file) => [run("node", file), run("bun", file), run("deno", file)],
  },
  {
    name: "bun build for Node",
    file: "bun-node.mjs",
    build: (source, file) => [...BUN, source, "--target=node", `--outfile=${file}`],
    commands: (file) => [run("node", file)],
  },
  {
    name: "bun build for Bun",
    file: "bun.mjs",
    build: (source, file) => [...BUN, source, "--target=bun", `--outfile=${file}`],
    commands: (file) => [run("bun", file)],
  },
  {
    name: "bun build --compile",
    file: "binary",
    build: (source, file) => [...BUN, "--compile", source, `--outfile=${file}`],
    commands: (file) => [[`./${file}`]],
  },
];

suite("a minified bundle is recorded exactly, and as fast as the sources", { skip }, () => {
  for (const { name, file, build, commands } of BUNDLES) {
    test(name, async (t) => {
      const [program = "", ...args] = build("programs/bundled/program.mjs", `bundles/${file}`);
      await execute(program, args, { cwd: folder });
      for (const command of commands(`bundles/${file}`)) {
        await t.test(command[0]!, async (t) => {
          await assertFast(t, folder, command);
        });
      }
    });
  }

  // A view that changes no label has a class in SDK 2 whose name a minifier changes.
  test("esbuild, with SDK 2", async (t) => {
    const cwd = folderOf("sdk-2")!;
    const build = [
      "programs/own-provider.mjs",
      "--format=cjs",
      "--outfile=bundles/own-provider.cjs",
    ];
    await execute(ESBUILD[0]!, [...ESBUILD.slice(1), ...build], { cwd });
    await assertFast(t, cwd, run("node", "bundles/own-provider.cjs"));
  });
});

/** Asserts that a program's calls are recorded, with one search of the SDK for each series. */
async function assertFast(t: TestContext, cwd: string, command: readonly string[]): Promise<void> {
  const running = await startProgram(t, cwd, command);
  const metrics = await finished(running);
  assertTraffic(metrics);
  const searches = await running.script.printed(/^Searches: (.+)/);
  assert.equal(Number(searches), Object.keys(seriesOf(metrics)).length);
}
