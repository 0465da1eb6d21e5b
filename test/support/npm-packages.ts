// Packages that only some tests use. They are not in the root's package.json, so that nobody else
// downloads them; each set has a lock file of its own and is installed in the folder `.cache`.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { PROJECT } from "./script.ts";
import type { Owner } from "./script.ts";

const run = promisify(execFile);
const CACHE = join(PROJECT, ".cache");

/**
 * Installs what the `package.json` and `package-lock.json` of a folder of this project name, unless
 * that was done before.
 *
 * @param source The folder's path, relative to the project's.
 * @returns The folder that has the `node_modules`; undefined when there is no package registry.
 */
export async function installedPackages(source: string): Promise<string | undefined> {
  const lock = await readFile(join(PROJECT, source, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex").slice(0, 12);
  const folder = join(CACHE, `${source.replaceAll("/", "-")}-${hash}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}-${process.pid}`;
  try {
    await mkdir(unfinished, { recursive: true });
    for (const file of ["package.json", "package-lock.json"]) {
      await copyFile(join(PROJECT, source, file), join(unfinished, file));
    }
    const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
    await run("npm", ["ci", "--ignore-scripts", ...quiet], { cwd: unfinished });
    // Two test processes may do this at once: the first one wins.
    await rename(unfinished, folder).catch(() => {});
  } catch {
    return undefined;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return existsSync(folder) ? folder : undefined;
}

/**
 * Makes a folder inside one of installed packages and copies files of this project to it, under the
 * same names: there they import those packages, and what these lack from the project's. It is
 * removed when the owner is done.
 *
 * @param packages What {@link installedPackages} returned.
 * @param files Files and folders, relative to the project's.
 */
export async function copyBeside(
  owner: Owner,
  packages: string,
  files: readonly string[],
): Promise<string> {
  const folder = await mkdtemp(join(packages, "copy-"));
  owner.after(() => rm(folder, { recursive: true, force: true }));
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await cp(join(PROJECT, file), join(folder, file), { recursive: true });
  }
  return folder;
}
