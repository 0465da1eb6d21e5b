/**
 * The plugin with clients and servers of code generators. Checks that the README shows the code in
 * `programs`, and what that code records on each runtime. A copy of the code runs next to packages
 * and generated code that the project itself does not have.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { copyInto, installedPackages } from "../support/npm-packages.ts";
import { PROJECT, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";

const execute = promisify(execFile);

const packages = await installedPackages("test/clients");
const skip = skipWithout(packages, "the package registry");
const PROGRAMS = "test/clients/programs";
const GENERATED = "test/clients/generated";
/** The folder with copies of the programs, next to their packages and the generated code. */
const folder = packages === undefined ? "" : await copyInto({ after }, packages, [
  "plugin",
  "log",
  "echo.proto",
  "tsconfig.json",
  "test/support",
  "test/clients/buf.gen.yaml",
  "test/clients/tsconfig.json",
  PROGRAMS,
]);
if (packages !== undefined) {
  await writeFile(join(folder, "deno.json"), '{ "nodeModulesDir": "manual" }\n');
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  await mkdir(join(folder, GENERATED, "protobuf-ts"), { recursive: true });
  await writeFile(
    join(folder, GENERATED, "protobuf-ts", "package.json"),
    '{ "type": "commonjs" }\n',
  );
  await run("buf", "generate", "echo.proto", "--template", "test/clients/buf.gen.yaml");
  await run(
    "proto-loader-gen-types",
    "--grpcLib=@grpc/grpc-js",
    "--importFileExtension=.ts",
    "--defaults",
    `--outDir=${GENERATED}/proto-loader`,
    "echo.proto",
  );
}

/** Runs a program in the folder of the copies and returns its output. Throws if it fails. */
async function run(file: string, ...args: string[]): Promise<string> {
  assert.ok(packages !== undefined, "the package registry is missing");
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const path = [env["PATH"], join(packages, "node_modules", ".bin")].join(delimiter);
  const { stdout, stderr } = await execute(file, args, {
    cwd: folder,
    env: { ...env, PATH: path, NO_COLOR: "1" },
    timeout: 300_000,
  });
  return stdout + stderr;
}

test("the plugin's types are compatible with those of each library", { skip }, async () => {
  const types = join(PROJECT, "runtimes", "node_modules", "@types");
  await run("tsc", "-p", "test/clients", "--typeRoots", types);
});

const commands: Record<Runtime, string[]> = {
  node: ["node", "--test", "--test-reporter=tap"],
  bun: ["bun", "test", "--timeout=60000"],
  deno: ["deno", "test", "-A", "--no-check"],
};

for (const runtime of RUNTIMES) {
  test(`each library's clients and servers are recorded on ${runtime}`, { skip }, async () => {
    const [file = "", ...args] = commands[runtime];
    const output = await run(file, ...args, `./${PROGRAMS}/records.test.ts`);
    assert.match(output, /^# pass 28$|^ 28 pass$|\b28 passed/m);
  });
}

test("the README shows what the programs do", async () => {
  const readme = await readFile(join(PROJECT, "plugin", "README.md"), "utf8");
  const section = /^## With generated clients\n(.*?)^## /ms.exec(readme)?.[1] ?? "";
  const parts = section.split(/^### /m).slice(1);
  assert.deepEqual(parts.map(nameOf), [
    "proto-loader",
    "ts-proto",
    "protobuf-ts",
    "nice-grpc",
    "nestjs",
    "google-gax",
  ]);
  for (const part of parts) {
    const name = nameOf(part);
    const program = await readFile(join(PROJECT, PROGRAMS, `${name}.ts`), "utf8");
    const blocks = [...part.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
    assert.ok(blocks.length > 0, `${name} has no code`);
    for (const paragraph of blocks.flatMap((block) => block.split(/\n\n+/))) {
      assert.ok(words(program).includes(words(paragraph)), `not in ${name}.ts:\n${paragraph}`);
    }
  }
});

function nameOf(part: string): string {
  return part.slice(0, part.indexOf("\n")).toLowerCase();
}

/** Normalizes the whitespace of code. */
function words(code: string): string {
  return code.replace(/\s+/g, " ").trim();
}
