import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findExecutable } from "../executable.ts";
import { cachedGoProgram } from "../go-program.ts";
import { runStep } from "../build-step.ts";
import type { Progress } from "../build-step.ts";

const MANIFEST = fileURLToPath(new URL("builder.yaml", import.meta.url));
const BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0";

/**
 * An OpenTelemetry Collector that `otel-collector.yaml` is made for: `otelcol-contrib` or `otelcol`
 * from the `PATH`; else our own, which is built with Go the first time that it is needed and kept in
 * `$XDG_CACHE_HOME` or `~/.cache`. The build takes some minutes and 2.5 GB in Go's own caches; it
 * is for one manifest, so that a changed one is built anew.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when there is no Go, or with what Go said when the build fails.
 */
export async function collectorBinary(progress: Progress): Promise<string> {
  const installed = await findExecutable("otelcol-contrib", "otelcol");
  if (installed !== undefined) return installed;

  return await cachedGoProgram({
    title: "The Collector",
    folder: "collector",
    file: "otelcol",
    sources: [BUILDER, await readFile(MANIFEST)],
    advice:
      "Install Go 1.25 or later (https://go.dev/doc/install), or put otelcol-contrib on the " +
      "PATH (https://github.com/open-telemetry/opentelemetry-collector-releases/releases).",
    announcement: "There is no Collector yet; building one, which takes some minutes, once",
    async build(go, workplace) {
      await runStep("Getting the Collector Builder", [go, "install", BUILDER], workplace);
      const builder = join(workplace.folder, "builder");
      await runStep("Building the Collector", [builder, "--config", MANIFEST], workplace);
      return join(workplace.folder, "build", "otelcol");
    },
  }, progress);
}
