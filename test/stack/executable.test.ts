import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { findExecutable } from "../../stack/executable.ts";
import { PROJECT, Script } from "../support/script.ts";

/** Sets a `PATH` of two folders, the second of which contains the program `tool`. */
async function twoFolders(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "executable-"));
  t.after(() => rm(folder, { recursive: true }));
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  for (const path of [first, second]) await mkdir(path);
  await writeFile(join(second, "tool"), "#!/bin/sh\n", { mode: 0o755 });
  setPath(t, [first, second].join(delimiter));
  return { first, second };
}

function setPath(t: TestContext, path: string): void {
  const before = process.env["PATH"];
  process.env["PATH"] = path;
  t.after(() => {
    process.env["PATH"] = before;
  });
}

/** Entries with a program's name that are not programs. */
const NO_PROGRAMS: Record<string, (path: string) => Promise<void>> = {
  "a folder": async (path) => void await mkdir(path),
  "a link to a folder": (path) => symlink(tmpdir(), path),
  "a link to nothing": (path) => symlink("nothing", path),
  "a file that may not be executed": (path) => writeFile(path, "#!/bin/sh\n", { mode: 0o644 }),
  "a device": (path) => symlink("/dev/null", path),
};
for (const [what, make] of Object.entries(NO_PROGRAMS)) {
  test(`${what} does not hide a program`, async (t) => {
    const { first, second } = await twoFolders(t);
    await make(join(first, "tool"));
    assert.equal(await findExecutable("tool"), join(second, "tool"));
    await rm(join(second, "tool"));
    assert.equal(await findExecutable("tool"), undefined);
  });
}

test("the first folder wins, and a link to a program counts", async (t) => {
  const { first, second } = await twoFolders(t);
  await symlink(join(second, "tool"), join(first, "tool"));
  assert.equal(await findExecutable("tool"), join(first, "tool"));
  await chmod(join(second, "tool"), 0o644);
  assert.equal(await findExecutable("missing", "tool"), undefined);
});

test("relative and empty entries of the PATH are ignored", async (t) => {
  const { second } = await twoFolders(t);
  const before = process.cwd();
  process.chdir(second);
  t.after(() => process.chdir(before));
  for (const path of ["../second", ".", "", delimiter]) {
    setPath(t, path);
    assert.equal(await findExecutable("tool"), undefined, path);
  }
});

for (const [what, options] of Object.entries({ missing: ["-u", "PATH"], empty: ["PATH="] })) {
  test(`only the pinned runtimes are on a PATH that was ${what}`, async (t) => {
    const run = [process.execPath, ...("Deno" in globalThis ? ["run", "-A"] : [])];
    const print = "console.log(`[${process.env.PATH}]`)";
    const script = new Script(t, [
      ...["/usr/bin/env", ...options, ...run, "runtimes/run.mjs", "node", "-e", print],
    ]);
    const path = await script.printed(/^\[(.*)\]$/m);
    assert.equal(path, join(PROJECT, "runtimes/node_modules/.bin"));
  });
}
