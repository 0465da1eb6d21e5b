import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runStep } from "../build-step.ts";
import type { Progress } from "../build-step.ts";
import { findExecutable } from "../executable.ts";
import { cachedGoProgram } from "../go-program.ts";

const MANIFEST = fileURLToPath(new URL("builder.yaml", import.meta.url));
const BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0";

/**
 * Finds or builds an OpenTelemetry Collector that can run `otel-collector.yaml`.
 *
 * Prefers `otelcol-contrib`, then `otelcol`, from the `PATH`. Otherwise builds one with Go on first
 * use and keeps it in `$XDG_CACHE_HOME` or `~/.cache`. The build takes some minutes and 2.5 GB in
 * Go's own caches. A change of `builder.yaml` leads to a new build.
 *
 * @returns The path of the program.
 * @throws {Error} with advice when Go is missing, or with Go's output when the build fails.
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
    announcement:
      "No Collector found; building one with Go, once, which usually takes 4 to 7 minutes",
    async build(go, context) {
      const install = [go, "install", BUILDER];
      await runStep("Getting the Collector Builder", install, context, "1 minute");
      const builder = join(context.folder, "builder");
      const build = [builder, "--config", MANIFEST];
      await runStep("Building the Collector", build, context, "3 to 6 minutes");
      return join(context.folder, "build", "otelcol");
    },
  }, progress);
}
