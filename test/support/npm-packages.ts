/**
 * Packages that only some tests use. They are not in the root's `package.json`, so that nobody else
 * downloads them. Each set has its own lock file and is installed in the folder `.cache`.
 *
 * @module
 */
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
 * Installs the packages of a folder's `package.json` and `package-lock.json`, unless they already
 * are.
 *
 * @param source The folder, relative to the project's.
 * @returns The folder with the `node_modules`; undefined if the package registry cannot be reached.
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
    // Two test processes may do this at the same time; the first one wins.
    await rename(unfinished, folder).catch(() => {});
  } catch {
    return undefined;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return existsSync(folder) ? folder : undefined;
}

/**
 * Copies files of the project into a new folder inside the folder of installed packages. There they
 * import those packages, and any other package from the project's `node_modules`. The copies are
 * removed when the owner is done.
 *
 * @param packages A folder returned by {@link installedPackages}.
 * @param files Files and folders, relative to the project's folder. They keep their paths.
 */
export async function copyInto(
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
