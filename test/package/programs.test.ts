/** Programs that have installed the tarball, in each module format and on each runtime. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { PEERS } from "../../npm/manifest.ts";
import { runTool } from "../../npm/tools.ts";
import { run, RUNTIMES } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { copyProgram, newFolder, printed, THREE_CALLS } from "./program.ts";
import type { Recorded } from "./program.ts";
import { installedTarball } from "./tarball.ts";

const built = await installedTarball();
const skip = skipWithout(built?.tarball, "the package registry");
const installed = built?.installed ?? "";

const OPTIONS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  target: "es2022",
  types: ["node"],
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
      const folder = newFolder(t, installed);
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
            const { counts, port, ...rest } = await printed<Recorded>(
              folder,
              run(runtime, program),
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
  readonly global: { readonly second: string; readonly calls: number };
}

suite("a program that loads the package", { skip }, () => {
  for (const program of ["loaded-modules.mjs", "loaded-modules.cjs"]) {
    test(`loads no package but the peers for the plugin (${program})`, async (t) => {
      const folder = newFolder(t, installed);
      copyProgram(program, folder);
      const packagesOf = async (specifier: string): Promise<string[]> => {
        const files = await printed<string[]>(folder, run("node", program, specifier));
        const names = files.map((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
        return [...new Set(names.filter((name) => name !== undefined))];
      };
      const ofPeers = await Promise.all(Object.keys(PEERS).map(packagesOf));
      const ofPlugin = await packagesOf("grpc-js-opentelemetry");
      assert.deepEqual(
        new Set(ofPlugin),
        new Set([...ofPeers.flat(), "grpc-js-opentelemetry"]),
      );
      const ofTelemetry = await packagesOf("grpc-js-opentelemetry/telemetry");
      assert.ok(ofTelemetry.includes("@opentelemetry/sdk-metrics"));
    });
  }

  for (const runtime of RUNTIMES) {
    test(`shares labels, limits, warnings and the registration between both builds on ${runtime}`, async (t) => {
      const folder = newFolder(t, installed);
      copyProgram("both-builds.mjs", folder);
      const { custom, series, warnings, global } = await printed<Shared>(
        folder,
        run(runtime, "both-builds.mjs"),
      );
      assert.deepEqual(custom, [
        "context of CommonJS",
        "context of ES module",
        "options of CommonJS",
        "options of ES module",
      ]);
      assert.equal(series, 1999);
      assert.equal(warnings.length, 2, warnings.join("\n"));
      assert.match(warnings[0] ?? "", /methodAttributeFilter fails/);
      assert.match(warnings[1] ?? "", /too many series/);
      assert.match(global.second, /a plugin is registered already/);
      assert.equal(global.calls, 2);
    });
  }
});
