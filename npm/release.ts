/**
 * Checks that a release has one version everywhere, and prints its notes: `node npm/release.ts v1.2.3`.
 * Needs no installed package, so that a release with a mistake fails at once.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/**
 * Compares a tag with the version in `package.json`, its lockfile and `deno.json`, and finds its
 * section in `CHANGELOG.md`.
 *
 * @param folder The project.
 * @returns The section's text, with each paragraph in one line, as GitHub expects it.
 * @throws {Error} If a version differs, or the changelog has no section with a date and entries.
 */
export async function releaseNotes(tag: string, folder: string = PROJECT): Promise<string> {
  const version = /^v(\d+\.\d+\.\d+)$/.exec(tag)?.[1];
  if (version === undefined) throw new Error(`The tag must be like v1.2.3, and is ${tag}`);
  for (const file of ["package.json", "package-lock.json", "deno.json"]) {
    const { version: found } = JSON.parse(await readFile(join(folder, file), "utf8"));
    if (found !== version) throw new Error(`${file} has version ${found}, and the tag is ${tag}`);
  }
  const changelog = await readFile(join(folder, "CHANGELOG.md"), "utf8");
  const section = sections(changelog).find((section) => section.version === version);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(section?.date ?? "") || section?.text === "") {
    throw new Error(`CHANGELOG.md needs entries under "## [${version}] - YYYY-MM-DD"`);
  }
  // GitHub shows each line break of a release's notes.
  return section!.text.replace(/\n {2}(?! *[-*] )/g, " ");
}

/** Returns the sections of a changelog in the format of Keep a Changelog, the newest first. */
export function sections(changelog: string): { version: string; date: string; text: string }[] {
  return changelog.split(/^## /m).slice(1).map((section) => {
    const [, version = "", date = "", text = ""] = /^\[(.+?)\](?: - (.*))?\n([^]*)/.exec(section) ??
      [];
    return { version, date, text: text.replace(/^\[.+\]: .*\n?/gm, "").trim() };
  });
}

if (import.meta.main) {
  try {
    console.log(await releaseNotes(process.argv[2] ?? ""));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
