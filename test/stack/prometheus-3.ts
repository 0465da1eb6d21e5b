// Builds Prometheus 3, which no package registry offers as an executable.

import { join } from "node:path";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";

const VERSION = "3.16.0";
/** A Go module has a 0 in front of the version. */
const MODULE = "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0";
const FLAGS = [
  // Without the clients of all clouds, which discover targets, it builds in half the time.
  "-tags=remove_all_sd",
  // Without symbols it has half the size. A module has no version of its own to show.
  `-ldflags=-s -w -X github.com/prometheus/common/version.Version=${VERSION}`,
];

/**
 * Builds Prometheus 3 if needed. It has static targets, rules, receivers and the API, but no web
 * pages. Prints the reason and returns undefined if it cannot.
 */
export async function prometheus3(): Promise<string | undefined> {
  const program = cachedGoProgram({
    title: "Prometheus 3",
    folder: "prometheus-3",
    file: "prometheus",
    sources: [MODULE, ...FLAGS],
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: `There is no Prometheus ${VERSION} yet; building one, once`,
    async build(go, context) {
      // Without cgo it needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "install", ...FLAGS, MODULE];
      await runStep("Building Prometheus 3", command, { ...context, environment }, "4 minutes");
      return join(context.folder, "prometheus");
    },
  }, { log: console.log });
  return await program.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}
