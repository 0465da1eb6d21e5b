import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { BuildContext, Progress } from "./build-step.ts";
import { findExecutable, isExecutable } from "./executable.ts";

/** A program that is built with Go on first use. */
export interface GoProgram {
  /** The name at the start of messages, such as `The Collector`. */
  readonly title: string;
  /** The name of the executable file. */
  readonly file: string;
  /** The first part of the name of its folder in the cache. */
  readonly folder: string;
  /** Everything that determines the result: a change leads to a new build. */
  readonly sources: readonly (string | Uint8Array)[];
  /** What to do when Go is missing or the build fails. */
  readonly advice: string;
  /** Logged before a build. */
  readonly announcement: string;
  /**
   * Builds the program.
   *
   * @param go The path of the `go` command.
   * @param context What build steps need. Its folder is empty and removed after the build.
   * @returns The path of the executable in that folder.
   */
  build(go: string, context: BuildContext): Promise<string>;
}

/**
 * Returns a program from the cache in `$XDG_CACHE_HOME` or `~/.cache`, and builds it if the cache
 * has no executable one.
 *
 * Several processes may call this at once, and each may be killed at any time: only a complete
 * program appears in the cache.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when Go or a folder for the cache is missing, or with Go's output
 * when the build fails.
 */
export async function cachedGoProgram(program: GoProgram, progress: Progress): Promise<string> {
  const key = createHash("sha256");
  for (const source of program.sources) key.update(source);
  const folder = join(
    cacheHome(),
    "grpc-js-opentelemetry",
    `${program.folder}-${key.digest("hex").slice(0, 16)}`,
  );
  const path = join(folder, program.file);
  if (!await isUsable(path)) await build(program, folder, path, progress);
  return path;
}

/** Whether a cached program can run. A crash of the machine may leave an empty file. */
async function isUsable(path: string): Promise<boolean> {
  return await isExecutable(path) && (await stat(path)).size > 0;
}

/**
 * Returns the user's folder for caches. Ignores paths that are not absolute.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/0.8/
 */
function cacheHome(): string {
  const base = [process.env["XDG_CACHE_HOME"], join(homedir(), ".cache")]
    .find((path) => path !== undefined && isAbsolute(path));
  if (base === undefined) {
    throw new Error("There is no home folder: set XDG_CACHE_HOME to an absolute path");
  }
  return base;
}

async function build(
  { title, advice, announcement, build }: GoProgram,
  folder: string,
  path: string,
  progress: Progress,
): Promise<void> {
  const go = await findExecutable("go");
  if (go === undefined) throw new Error(`${title} has to be built, and Go is missing. ${advice}`);

  await mkdir(folder, { recursive: true, mode: 0o700 });
  const buildFolder = await mkdtemp(join(folder, "build-"));
  // Overrides settings of the user's own Go projects: a workspace, flags, another target.
  const environment = {
    GOBIN: buildFolder,
    GOFLAGS: "-buildvcs=false",
    GOWORK: "off",
    GOOS: "",
    GOARCH: "",
    // Go rejects a relative path.
    XDG_CACHE_HOME: cacheHome(),
  };
  try {
    progress.log(announcement);
    await place(await build(go, { folder: buildFolder, environment, progress }), path);
    progress.log(`Built ${path}`);
  } catch (error) {
    if (progress.signal?.aborted) throw error;
    throw new Error(`${title} could not be built. ${advice}\n${(error as Error).message}`);
  } finally {
    await rm(buildFolder, { recursive: true, force: true });
  }
}

/** Moves a program to its path. It is complete there even if the machine crashes right after. */
async function place(program: string, path: string): Promise<void> {
  await chmod(program, 0o700);
  const file = await open(program);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  // An unusable entry may be a folder, which a file cannot replace.
  if (!await isUsable(path)) await rm(path, { recursive: true, force: true });
  await rename(program, path);
}
