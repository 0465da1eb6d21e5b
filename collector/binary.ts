import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { findExecutable } from "../stack/executable.ts";
import { runStep } from "./step.ts";
import type { Progress } from "./step.ts";

const MANIFEST = fileURLToPath(new URL("builder.yaml", import.meta.url));
const BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0";
const ADVICE =
  "Install Go 1.25 or later (https://go.dev/doc/install), or put otelcol-contrib on the " +
  "PATH (https://github.com/open-telemetry/opentelemetry-collector-releases/releases).";

/**
 * An OpenTelemetry Collector that `otel-collector.yaml` is made for: `otelcol-contrib` or `otelcol`
 * from the `PATH`; else our own, which is built with Go the first time that it is needed and kept in
 * `$XDG_CACHE_HOME` or `~/.cache`. The build takes some minutes and 2.5 GB in Go's own caches; it
 * is for one manifest, so that a changed one is built anew.
 *
 * Several processes may do this at once, and each may be killed at any time: a Collector appears in
 * the cache only when it is whole.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when there is no Go, or with what Go said when the build fails.
 */
export async function collectorBinary(progress: Progress): Promise<string> {
  const installed = await findExecutable("otelcol-contrib", "otelcol");
  if (installed !== undefined) return installed;

  const key = createHash("sha256").update(BUILDER).update(await readFile(MANIFEST)).digest("hex");
  const folder = join(cacheFolder(), `collector-${key.slice(0, 16)}`);
  const binary = join(folder, "otelcol");
  if (!existsSync(binary)) await build(folder, binary, progress);
  return binary;
}

function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return resolve(base, "grpc-js-opentelemetry");
}

async function build(folder: string, binary: string, progress: Progress): Promise<void> {
  const go = await findExecutable("go");
  if (go === undefined) {
    throw new Error(`The Collector has to be built, and Go is missing. ${ADVICE}`);
  }

  await mkdir(folder, { recursive: true });
  const workshop = await mkdtemp(join(folder, "build-"));
  // Settings of the user's own Go projects stay out: a workspace, flags, another target.
  const environment = {
    GOBIN: workshop,
    GOFLAGS: "-buildvcs=false",
    GOWORK: "off",
    GOOS: "",
    GOARCH: "",
  };
  try {
    progress.log("There is no Collector yet; building one, which takes some minutes, once");
    const step = { folder: workshop, environment, progress };
    await runStep("Getting the Collector Builder", [go, "install", BUILDER], step);
    await runStep(
      "Building the Collector",
      [join(workshop, "builder"), "--config", MANIFEST],
      step,
    );
    await rename(join(workshop, "build", "otelcol"), binary);
    progress.log(`Built ${binary}`);
  } catch (error) {
    if (progress.signal?.aborted) throw error;
    throw new Error(`The Collector could not be built. ${ADVICE}\n${(error as Error).message}`);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}
