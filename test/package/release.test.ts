/** What a release checks before anything is published. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import deno from "../../deno.json" with { type: "json" };
import { releaseNotes, sections } from "../../npm/release.ts";
import lockfile from "../../package-lock.json" with { type: "json" };
import project from "../../package.json" with { type: "json" };
import { PROJECT } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { newFolder } from "./program.ts";

const run = promisify(execFile);

test("package.json, its lockfile, deno.json and CHANGELOG.md have the same version", () => {
  assert.equal(lockfile.version, project.version);
  assert.equal(deno.version, project.version);
  const [next, latest] = sections(readFileSync(join(PROJECT, "CHANGELOG.md"), "utf8"));
  assert.equal(next?.version, "Unreleased");
  // Before the first release there is no other section.
  assert.equal(latest?.version ?? project.version, project.version);
});

const CHANGELOG = `# Changelog

## [Unreleased]

## [1.2.3] - 2026-01-02

### Added

- A thing that is
  described in two lines.
  - Its part.
- Another one.

## [1.2.2] - 2026-01-01

- An older one.

[1.2.3]: https://example.com/
`;

test("the notes are the section of the changelog", async (t) => {
  assert.equal(
    await releaseNotes("v1.2.3", release(t)),
    "### Added\n\n- A thing that is described in two lines.\n  - Its part.\n- Another one.",
  );
});

const MISTAKES: Readonly<Record<string, [tag: string, files: Record<string, string>, RegExp]>> = {
  "another tag": ["v1.2.4", {}, /^package\.json has version 1\.2\.3, and the tag is v1\.2\.4$/],
  "no version in the tag": ["main", {}, /^The tag must be like v1\.2\.3, and is main$/],
  "a prerelease": ["v1.2.3-rc.1", {}, /^The tag must be like v1\.2\.3/],
  "another lockfile": ["v1.2.3", { "package-lock.json": '{"version":"1.2.2"}' }, /^package-lock/],
  "another deno.json": ["v1.2.3", { "deno.json": '{"version":"1.2.2"}' }, /^deno\.json has/],
  "no section": ["v1.2.3", { "CHANGELOG.md": "## [Unreleased]\n\n- A thing.\n" }, /^CHANGELOG/],
  "no date": ["v1.2.3", { "CHANGELOG.md": "## [1.2.3]\n\n- A thing.\n" }, /^CHANGELOG\.md needs/],
  "no entries": ["v1.2.3", { "CHANGELOG.md": "## [1.2.3] - 2026-01-02\n" }, /^CHANGELOG\.md needs/],
};
for (const [mistake, [tag, files, message]] of Object.entries(MISTAKES)) {
  test(`a release is refused: ${mistake}`, async (t) => {
    await assert.rejects(releaseNotes(tag, release(t, files)), { message });
  });
}

test("the command fails in one line", async () => {
  await assert.rejects(run("node", ["npm/release.ts", "v0.0.0"], { cwd: PROJECT }), {
    code: 1,
    stdout: "",
    stderr: `package.json has version ${project.version}, and the tag is v0.0.0\n`,
  });
});

/** Creates a folder with the files of a release 1.2.3. */
function release(owner: Owner, files: Readonly<Record<string, string>> = {}): string {
  const folder = newFolder(owner, tmpdir());
  const version = '{"version":"1.2.3"}';
  const all = {
    ...{ "package.json": version, "package-lock.json": version, "deno.json": version },
    "CHANGELOG.md": CHANGELOG,
    ...files,
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  return folder;
}
