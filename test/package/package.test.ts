/** What is published: the files, their types, and programs that install the tarball. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { promisify } from "node:util";
import project from "../../package.json" with { type: "json" };
import { ENTRIES } from "../../npm/entries.ts";
import { PEERS } from "../../npm/manifest.ts";
import { npm, runTool } from "../../npm/tools.ts";
import { PROJECT, run, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { installedTarball } from "./tarball.ts";

const execute = promisify(execFile);

const built = await installedTarball();
const skip = skipWithout(built?.tarball, "the package registry");
const { dist, tarball, installed } = built ?? { dist: "", tarball: "", installed: "" };

/** Creates a folder inside the project that has installed the tarball. */
function newFolder(): string {
  const folder = mkdtempSync(join(installed, "copy-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Copies a program from the folder `programs`. */
function copyProgram(program: string, folder: string, target: string = program): void {
  copyFileSync(join(PROJECT, "test/package/programs", program), join(folder, target));
}

/** Runs a program with arguments and returns the JSON that it printed. */
async function output<T>(
  runtime: Runtime,
  folder: string,
  ...[program, ...given]: [string, ...string[]]
): Promise<T> {
  const [file = "", ...args] = run(runtime, program, ...given);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await execute(file, args, {
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}

suite("the tarball", { skip }, () => {
  test("has the entries, their types and source maps, and nothing of the scripts or tests", async () => {
    const [{ files }] = JSON.parse(await npm(dist, "pack", "--dry-run", "--json"));
    const paths: string[] = files.map(({ path }: { path: string }) => path);
    for (const name of ["index", "prometheus", "telemetry"]) {
      for (const ending of [".js", ".cjs", ".d.ts", ".d.cts"]) {
        assert.ok(paths.includes(name + ending), name + ending);
      }
    }
    const code = paths.filter((path) => /\.c?js$/.test(path));
    for (const path of code) {
      const text = readFileSync(join(dist, path), "utf8");
      assert.doesNotMatch(text, /@grpc\/proto-loader|grpc-health-check|ECHO_/, path);
      assert.doesNotMatch(text, /import\.meta|with \{ type: "json" \}/, path);
    }
    const others = paths.filter((path) => !/\.(c?js(\.map)?|d\.c?ts)$/.test(path));
    assert.deepEqual(others.sort(), ["LICENSE", "README.md", "package.json"]);
    const withMaps = code.filter((path) => paths.includes(`${path}.map`));
    // Entries that only export from other files have no map.
    assert.deepEqual(
      code.filter((path) => !withMaps.includes(path)),
      ["index.cjs", "index.js", "prometheus.cjs", "prometheus.js"],
    );
  });

  test("has a manifest that follows the project's", () => {
    const manifest = JSON.parse(readFileSync(join(dist, "package.json"), "utf8"));
    assert.equal(manifest.version, project.version);
    assert.deepEqual(Object.keys(manifest.exports), [...Object.keys(ENTRIES), "./package.json"]);
    assert.equal(manifest.private, undefined);
    for (const [name, range] of Object.entries(manifest.dependencies)) {
      assert.equal(range, `^${project.dependencies[name as keyof typeof project.dependencies]}`);
      assert.ok(!(name in manifest.peerDependencies), name);
    }
  });

  test("shares the copies of an application that has the SDK", () => {
    const application = createRequire(join(installed, "package.json"));
    for (const dependent of ["grpc-js-opentelemetry", "@opentelemetry/exporter-prometheus"]) {
      const require = createRequire(application.resolve(dependent));
      assert.equal(
        require.resolve("@opentelemetry/sdk-metrics"),
        application.resolve("@opentelemetry/sdk-metrics"),
        dependent,
      );
    }
  });

  test("passes publint", async () => {
    assert.match(await runTool(dist, "publint/src/cli.js", "--strict", tarball), /All good!/);
  });

  test("has types for every way to resolve them (attw)", async () => {
    const report = await runTool(
      dist,
      "@arethetypeswrong/cli/dist/index.js",
      ...["--no-emoji", "--format=json", tarball],
    );
    const { analysis } = JSON.parse(report);
    assert.deepEqual(analysis.problems, []);
    const entries = Object.values<{ resolutions: object }>(analysis.entrypoints);
    assert.equal(entries.length, Object.keys(ENTRIES).length + 1);
    for (const { resolutions } of entries) {
      assert.deepEqual(Object.keys(resolutions), ["node10", "node16-cjs", "node16-esm", "bundler"]);
    }
  });

  test("can be published", async () => {
    await npm(dist, "publish", "--dry-run", "--json", "--access=public");
  });
});

const OPTIONS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  target: "es2022",
  types: ["node"],
};

/** What `record-calls.ts` prints. */
interface Recorded {
  readonly counts: readonly Record<string, number>[];
  readonly port: number;
}

/** The counts after three calls with 5 bytes in each direction. */
const THREE_CALLS = {
  grpc_client_attempt_duration_seconds_count: 3,
  grpc_client_attempt_rcvd_total_compressed_message_size_bytes_sum: 15,
  grpc_client_attempt_sent_total_compressed_message_size_bytes_sum: 15,
  grpc_client_attempt_started_total: 3,
  grpc_client_call_duration_seconds_count: 3,
  grpc_server_call_duration_seconds_count: 3,
  grpc_server_call_rcvd_total_compressed_message_size_bytes_sum: 15,
  grpc_server_call_sent_total_compressed_message_size_bytes_sum: 15,
  grpc_server_call_started_total: 3,
};

suite("a program that is compiled with every library's types checked", { skip }, () => {
  const targets = [
    { module: "commonjs", moduleResolution: "node10", programs: { "program.ts": "program.js" } },
    {
      module: "nodenext",
      programs: { "program.mts": "program.mjs", "program.cts": "program.cjs" },
    },
  ];
  for (const { programs, ...modules } of targets) {
    test(modules.module, async (t) => {
      const folder = newFolder();
      for (const program of Object.keys(programs)) {
        copyProgram("record-calls.ts", folder, program);
      }
      writeFileSync(
        join(folder, "tsconfig.json"),
        JSON.stringify({ compilerOptions: { ...OPTIONS, ...modules } }),
      );
      await runTool(folder, "typescript/bin/tsc").catch(({ stdout }) => assert.fail(stdout));
      for (const program of Object.values(programs)) {
        for (const runtime of RUNTIMES) {
          await t.test(`${program} records its calls on ${runtime}`, async () => {
            const { counts, port, ...rest } = await output<Recorded>(
              runtime,
              folder,
              program,
            );
            assert.deepEqual(rest, { target: `dns:///127.0.0.1:${port}`, rendersTheSame: true });
            // By the program's own provider, and by that of `startTelemetry`.
            assert.deepEqual(counts, [THREE_CALLS, THREE_CALLS]);
          });
        }
      }
    });
  }
});

/** What `both-builds.mjs` prints. */
interface Shared {
  readonly custom: readonly string[];
  readonly series: number;
  readonly warnings: readonly string[];
}

suite("a program that loads the package", { skip }, () => {
  for (const program of ["loaded-modules.mjs", "loaded-modules.cjs"]) {
    test(`loads no package but the peers for the plugin (${program})`, async () => {
      const folder = newFolder();
      copyProgram(program, folder);
      const packagesOf = async (specifier: string): Promise<string[]> => {
        const files = await output<string[]>("node", folder, program, specifier);
        const names = files.map((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
        return [...new Set(names.filter((name) => name !== undefined))];
      };
      const ofPeers = await Promise.all(Object.keys(PEERS).map(packagesOf));
      const ofPlugin = await packagesOf("grpc-js-opentelemetry");
      assert.deepEqual(
        new Set(ofPlugin),
        new Set([...ofPeers.flat(), "grpc-js-opentelemetry"]),
      );
      assert.ok((await packagesOf("grpc-js-opentelemetry/telemetry")).includes("zod"));
    });
  }

  for (const runtime of RUNTIMES) {
    test(`shares labels, limits and warnings between both builds on ${runtime}`, async () => {
      const folder = newFolder();
      copyProgram("both-builds.mjs", folder);
      const { custom, series, warnings } = await output<Shared>(runtime, folder, "both-builds.mjs");
      assert.deepEqual(custom, [
        "context of CommonJS",
        "context of ES module",
        "options of CommonJS",
        "options of ES module",
      ]);
      assert.equal(series, 2000);
      assert.equal(warnings.length, 2, warnings.join("\n"));
      assert.match(warnings[0] ?? "", /methodAttributeFilter fails/);
      assert.match(warnings[1] ?? "", /too many series/);
    });
  }
});
