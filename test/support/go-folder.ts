import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";

/** A program in Go whose sources are a folder of the tests. */
export interface GoFolder {
  /** The name in messages, such as `The peer in Go`. */
  readonly title: string;
  /** The first part of the name of its folder in the cache. */
  readonly name: string;
  /** The path of the sources. */
  readonly sources: string;
}

/**
 * Builds a program if needed. Prints the reason and returns undefined if it cannot.
 *
 * @returns The path of the program.
 */
export async function builtGoFolder(
  { title, name, sources }: GoFolder,
): Promise<string | undefined> {
  const file = basename(sources);
  const files = (await readdir(sources)).sort();
  const program = cachedGoProgram({
    title,
    folder: name,
    file,
    sources: await Promise.all(files.map((file) => readFile(join(sources, file)))),
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: `${title} is not built yet; building it, once`,
    async build(go, context) {
      const path = join(context.folder, file);
      // Without cgo it needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "-C", sources, "build", "-o", path, "."];
      await runStep(`Building ${name}`, command, { ...context, environment });
      return path;
    },
  }, { log: console.log });
  return await program.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}
