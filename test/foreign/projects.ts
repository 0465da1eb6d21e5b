/**
 * Projects of others that install the package from its tarball, as users do. Each has its own lock
 * file, and is kept beside the tarball in the folder `.cache`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { npm } from "../../npm/tools.ts";
import type { Package } from "../package/tarball.ts";
import { PROJECT } from "../support/script.ts";

const HERE = join(PROJECT, "test/foreign");
const INSTALL = ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
const LOCK = "package-lock.json";

/** The file of npm that says which versions to install. */
interface Lock {
  packages: Record<string, object>;
}

/**
 * Installs the package in one of the projects, unless it already is, and copies the programs there.
 *
 * @param name A folder in `projects`.
 * @returns The project's folder; undefined if the package registry cannot be reached.
 */
async function installedProject(
  { tarball }: Package,
  name: string,
): Promise<string | undefined> {
  const lock = await lockOf(name);
  const hash = createHash("sha256").update(lock).digest("hex").slice(0, 12);
  const folder = join(dirname(tarball), "foreign", `${name}-${hash}`);
  if (!existsSync(folder)) {
    const unfinished = `${folder}-${process.pid}`;
    try {
      await mkdir(unfinished, { recursive: true });
      await cp(join(HERE, "projects", name, "package.json"), join(unfinished, "package.json"));
      await writeFile(join(unfinished, LOCK), lock);
      await npm(unfinished, ...INSTALL, tarball);
      // Two test processes may do this at the same time; the first one wins.
      await rename(unfinished, folder).catch(() => {});
    } catch {
      return undefined;
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  await cp(join(HERE, "programs"), join(folder, "programs"), { recursive: true });
  await cp(join(PROJECT, "echo.proto"), join(folder, "echo.proto"));
  return folder;
}

/**
 * Installs the package in several projects at once.
 *
 * @returns A function that returns the folder of a project; undefined if the package registry cannot be reached.
 */
export async function installedProjects(
  built: Package | undefined,
  names: readonly string[],
): Promise<(name: string) => string | undefined> {
  const folders = new Map<string, string | undefined>();
  const waiting = [...new Set(built === undefined ? [] : names)];
  async function installNext(): Promise<void> {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      folders.set(name, await installedProject(built!, name));
    }
  }
  await Promise.all([installNext(), installNext()]);
  return (name) => folders.get(name);
}

/**
 * Returns the lock of a project, with the package's dependencies as the root's lock has them: the
 * tarball has no lock of its own. npm removes what is not needed.
 */
async function lockOf(name: string): Promise<string> {
  const read = async (folder: string): Promise<Lock> =>
    JSON.parse(await readFile(join(folder, LOCK), "utf8"));
  const [root, own] = await Promise.all([read(PROJECT), read(join(HERE, "projects", name))]);
  return JSON.stringify({ ...own, packages: { ...root.packages, ...own.packages } });
}
