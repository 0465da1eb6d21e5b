import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { findExecutable, isExecutable } from "./executable.ts";
import type { Progress, Workplace } from "./build-step.ts";

/** A program that is built with Go the first time that it is needed. */
export interface GoProgram {
  /** What it is called in sentences, such as `The Collector`. */
  readonly title: string;
  /** The file's name; its folder in the cache begins with {@link GoProgram.folder}. */
  readonly file: string;
  readonly folder: string;
  /** All that it is made of: other sources are another program, which is built anew. */
  readonly sources: readonly (string | Uint8Array)[];
  /** What to do when there is no Go or the build fails. */
  readonly advice: string;
  /** What is said before a build, about the time that it takes. */
  readonly announcement: string;
  /**
   * Builds it.
   *
   * @param go The path of the `go` command.
   * @param workplace A folder of its own, which is removed afterwards.
   * @returns The path of the program in that folder.
   */
  build(go: string, workplace: Workplace): Promise<string>;
}

/**
 * A program from the cache, which is in `$XDG_CACHE_HOME` or `~/.cache`; built if it is not there
 * or cannot be executed.
 *
 * Several processes may do this at once, and each may be killed at any time: a program appears in
 * the cache only when it is whole.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when there is no Go or no place for a cache, or with what Go said when
 * the build fails.
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
  if (!await isWhole(path)) await build(program, folder, path, progress);
  return path;
}

/** Whether a cached program can be run. A crash of the machine may leave an empty file. */
async function isWhole(path: string): Promise<boolean> {
  return await isExecutable(path) && (await stat(path)).size > 0;
}

/**
 * The folder for what can be made again. A path that is not absolute is ignored.
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
  const workshop = await mkdtemp(join(folder, "build-"));
  // Settings of the user's own Go projects stay out: a workspace, flags, another target.
  const environment = {
    GOBIN: workshop,
    GOFLAGS: "-buildvcs=false",
    GOWORK: "off",
    GOOS: "",
    GOARCH: "",
    // Go refuses a relative path.
    XDG_CACHE_HOME: cacheHome(),
  };
  try {
    progress.log(announcement);
    await place(await build(go, { folder: workshop, environment, progress }), path);
    progress.log(`Built ${path}`);
  } catch (error) {
    if (progress.signal?.aborted) throw error;
    throw new Error(`${title} could not be built. ${advice}\n${(error as Error).message}`);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** Has a program appear under its path, whole even if the machine stops at once. */
async function place(program: string, path: string): Promise<void> {
  await chmod(program, 0o700);
  const file = await open(program);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  // What cannot be run may be a folder, which a file cannot replace.
  if (!await isWhole(path)) await rm(path, { recursive: true, force: true });
  await rename(program, path);
}
