/** What is published on JSR: the sources, as `deno.json` says. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { pathToFileURL } from "node:url";
import deno from "../../deno.json" with { type: "json" };
import { builtName, ENTRIES } from "../../npm/entries.ts";
import { BUNDLED } from "../../npm/manifest.ts";
import project from "../../package.json" with { type: "json" };
import { PROJECT } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { copyProgram, newFolder, printed, THREE_CALLS } from "./program.ts";
import type { Recorded } from "./program.ts";
import { installedTarball } from "./tarball.ts";

const execute = promisify(execFile);
const built = await installedTarball();
const skip = skipWithout(built?.tarball, "the package registry");
const dist = built?.dist ?? "";

test("deno.json has the version, entries and dependencies of the npm package", { skip }, () => {
  assert.equal(deno.version, project.version);
  const entries = Object.entries(ENTRIES).map(([entry, source]) => [entry, `./${source}`]);
  assert.deepEqual(deno.exports, Object.fromEntries(entries));
  const { peerDependencies, dependencies } = JSON.parse(
    readFileSync(join(dist, "package.json"), "utf8"),
  );
  const versions: Readonly<Record<string, string>> = project.dependencies;
  const bundled = BUNDLED.map((name) => [name, `^${versions[name]}`]);
  const ranges = Object.entries({
    ...peerDependencies,
    ...dependencies,
    ...Object.fromEntries(bundled),
  });
  assert.deepEqual(
    deno.imports,
    Object.fromEntries(ranges.map(([name, range]) => [name, `npm:${name}@${range}`])),
  );
});

test("deno publish accepts the sources, without slow types", async () => {
  const command = ["publish", "--dry-run", "--allow-dirty"];
  const env = { ...process.env, NO_COLOR: "1" };
  const { stderr } = await execute("deno", command, { cwd: PROJECT, env });
  assert.match(stderr, /Success Dry run complete/);
  const files = /^ +file:.*\n/gm;
  assert.doesNotMatch(stderr.replace(files, ""), /warning/i);
  const paths = (stderr.match(files) ?? []).map((line) =>
    line.trim().replace(pathToFileURL(PROJECT).href, "").replace(/ \(.*/, "")
  );
  assert.deepEqual(
    new Set(paths.map((path) => path.split("/", 1)[0])),
    new Set(["deno.json", ...deno.publish.include]),
  );
});

for (
  const [what, url] of [
    ["the sources", (entry: string) => pathToFileURL(join(PROJECT, ENTRIES[entry]!))],
    ["the build", (entry: string) => pathToFileURL(join(dist, `${builtName(entry)}.js`))],
  ] as const
) {
  test(`a Deno program imports ${what} by name`, { skip }, async (t) => {
    const folder = newFolder(t, tmpdir());
    copyProgram("record-calls.ts", folder);
    const entries = Object.keys(ENTRIES)
      .map((entry) => [entry.replace(".", project.name), url(entry).href]);
    writeFileSync(
      join(folder, "deno.json"),
      JSON.stringify({ imports: { ...deno.imports, ...Object.fromEntries(entries) } }),
    );
    const { counts } = await printed<Recorded>(folder, ["deno", "run", "-A", "record-calls.ts"]);
    assert.deepEqual(counts, [THREE_CALLS, THREE_CALLS]);
  });
}
