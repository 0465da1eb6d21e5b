import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";

const PACKAGES = fileURLToPath(new URL(".", import.meta.url));
const GO_SOURCES = fileURLToPath(new URL("../go/", import.meta.url));

/**
 * Installs the packages that the benchmarks compare with, in the versions of `package-lock.json`.
 *
 * @throws {Error} with npm's output when the installation fails.
 */
export async function installPackages(): Promise<void> {
  await runStep(
    "Installing the peers",
    ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
    { folder: PACKAGES, environment: {}, progress: { log: console.error } },
  );
}

/**
 * Builds the benchmark program in Go unless the cache has it.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when Go is missing or the build fails.
 */
export async function goProgram(): Promise<string> {
  const files = (await readdir(GO_SOURCES)).sort();
  return await cachedGoProgram({
    title: "The benchmark in Go",
    folder: "go-bench",
    file: "bench",
    sources: await Promise.all(files.map((file) => readFile(join(GO_SOURCES, file)))),
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: "No benchmark in Go found; building it, once",
    async build(go, context) {
      const path = join(context.folder, "bench");
      // Without cgo, the build needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "-C", GO_SOURCES, "build", "-o", path, "."];
      await runStep("Building the benchmark in Go", command, { ...context, environment });
      return path;
    },
  }, { log: console.error });
}
