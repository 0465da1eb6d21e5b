/** What is published on npm: the files, their types, and what they depend on. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import project from "../../package.json" with { type: "json" };
import { importedPackages } from "../../npm/build.ts";
import { ENTRIES } from "../../npm/entries.ts";
import { LICENSES } from "../../npm/licenses.ts";
import { BUNDLED, PEERS } from "../../npm/manifest.ts";
import { npm, runTool } from "../../npm/tools.ts";
import { PROJECT } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { installedTarball } from "./tarball.ts";

/** Entries that only export from other files, and so have no source map. */
const ENTRIES_WITHOUT_CODE = ["index", "page", "prometheus", "register"];

const built = await installedTarball();
const skip = skipWithout(built?.tarball, "the package registry");
const { dist, tarball, installed } = built ?? { dist: "", tarball: "", installed: "" };

suite("the tarball", { skip }, () => {
  test("is where the last line of npm run pack says", async () => {
    const lines = (await npm(PROJECT, "run", "pack")).trim().split("\n");
    assert.equal(lines.at(-1), join(PROJECT, `${project.name}-${project.version}.tgz`));
    assert.ok(existsSync(lines.at(-1)!));
  });

  test("has the entries, their types and source maps, and nothing of the scripts or tests", async () => {
    const [{ files }] = JSON.parse(await npm(dist, "pack", "--dry-run", "--json"));
    const paths: string[] = files.map(({ path }: { path: string }) => path);
    for (const name of ["index", "page", "prometheus", "telemetry", "register"]) {
      for (const ending of [".js", ".cjs", ".d.ts", ".d.cts"]) {
        assert.ok(paths.includes(name + ending), name + ending);
      }
    }
    const code = paths.filter((path) => /\.c?js$/.test(path));
    for (const path of code) {
      const text = readFileSync(join(dist, path), "utf8");
      assert.doesNotMatch(text, /@grpc\/proto-loader|grpc-health-check|ECHO_/, path);
      assert.doesNotMatch(text, /with \{ type: "json" \}/, path);
      // Comments of other packages have types such as `import('./index').Hook`.
      const ofRegister = path.startsWith("register/");
      const written = ofRegister ? text.replace(/^\s*\/?\*.*$/gm, "") : text;
      const isCommonJs = path.endsWith(".cjs");
      if (!ofRegister || isCommonJs) assert.doesNotMatch(written, /import\.meta/, path);
      // Jest runs CommonJS in a context without `import()`.
      if (isCommonJs) assert.doesNotMatch(written, /\bimport\(/, path);
    }
    const others = paths.filter((path) => !/\.(c?js(\.map)?|d\.c?ts)$/.test(path));
    assert.deepEqual(
      others.sort(),
      ["LICENSE", "README.md", LICENSES, "package.json", `register/${LICENSES}`],
    );
    const withoutMap = code.filter((path) =>
      !paths.includes(`${path}.map`) && !/^(register\/|rolldown-runtime)/.test(path)
    );
    assert.deepEqual(
      withoutMap,
      ENTRIES_WITHOUT_CODE.flatMap((name) => [`${name}.cjs`, `${name}.js`]),
    );
  });

  test("has the licences of the packages that it contains", () => {
    const packages = (file: string) =>
      [...readFileSync(join(dist, file), "utf8").matchAll(/^# (\S+) \d+\.\d+\.\d+$/gm)]
        .map(([, name]) => name);
    assert.deepEqual(packages(LICENSES), BUNDLED);
    const ofRegister = packages(`register/${LICENSES}`);
    for (const name of [...BUNDLED, "@opentelemetry/sdk-metrics", "require-in-the-middle"]) {
      assert.ok(ofRegister.includes(name), name);
    }
  });

  test("needs only the peers for register", async () => {
    // The package `debug` does without `supports-color` where it is not installed.
    assert.deepEqual(
      (await importedPackages(join(dist, "register"))).sort(),
      [...Object.keys(PEERS), "supports-color"],
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
      assert.ok(!BUNDLED.includes(name), name);
    }
  });

  test("shares the copies of an application that has the SDK", () => {
    const application = createRequire(join(installed, "package.json"));
    for (
      const dependent of ["grpc-js-opentelemetry", "@opentelemetry/exporter-metrics-otlp-http"]
    ) {
      const require = createRequire(application.resolve(dependent));
      assert.equal(
        require.resolve("@opentelemetry/sdk-metrics"),
        application.resolve("@opentelemetry/sdk-metrics"),
        dependent,
      );
    }
  });

  test("has the live page as an ES module and as CommonJS", async () => {
    const file = createRequire(join(installed, "package.json")).resolve(`${project.name}/page`);
    const { grpcPage: fromCommonJs } = createRequire(file)(file);
    const { grpcPage } = await import(pathToFileURL(file.replace(/\.cjs$/, ".js")).href);
    async function* text() {
      yield "grpc_server_call_started_total 1\n";
    }
    const html = await grpcPage().render(text());
    assert.match(html, /<script>.{5000,}<\/script>/s);
    assert.equal(await fromCommonJs().render(text()), html);
    assert.deepEqual(fromCommonJs().headers, grpcPage().headers);
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
