import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedGoProgram } from "../../stack/go-program.ts";
import { runStep } from "../../stack/build-step.ts";

const PACKAGES = fileURLToPath(new URL(".", import.meta.url));
const GO_SOURCES = fileURLToPath(new URL("../go/", import.meta.url));

/**
 * Installs the packages that the benchmarks compare with, as `package-lock.json` has them.
 *
 * @throws {Error} with what npm said
 */
export async function installPackages(): Promise<void> {
  await runStep(
    "Installing the peers",
    ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
    { folder: PACKAGES, environment: {}, progress: { log: console.error } },
  );
}

/**
 * The program in Go, built if need be.
 *
 * @returns its path
 * @throws {Error} with advice when there is no Go or the build fails
 */
export async function goProgram(): Promise<string> {
  const files = (await readdir(GO_SOURCES)).sort();
  return await cachedGoProgram({
    title: "The benchmark in Go",
    folder: "go-bench",
    file: "bench",
    sources: await Promise.all(files.map((file) => readFile(join(GO_SOURCES, file)))),
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: "There is no benchmark in Go yet; building it, once",
    async build(go, workplace) {
      const path = join(workplace.folder, "bench");
      // Without cgo it needs no C compiler.
      const environment = { ...workplace.environment, CGO_ENABLED: "0" };
      const command = [go, "-C", GO_SOURCES, "build", "-o", path, "."];
      await runStep("Building the benchmark in Go", command, { ...workplace, environment });
      return path;
    },
  }, { log: console.error });
}
