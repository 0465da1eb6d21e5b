// Builds Prometheus 3, which no package registry offers as an executable.

import { join } from "node:path";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";

const VERSION = "3.16.0";
/** The Go module of a release, whose version has a 0 in front. */
const MODULE = "github.com/prometheus/prometheus";
const MODULE_VERSION = "v0.316.0";
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
export function prometheus3(): Promise<string | undefined> {
  return program("prometheus", "Prometheus 3", "takes some 4 minutes, once");
}

/** Builds Prometheus 3's `promtool` like {@link prometheus3}, with which it shares most packages. */
export function promtool3(): Promise<string | undefined> {
  return program("promtool", "Prometheus 3's promtool", "takes a minute after Prometheus 3, once");
}

async function program(
  file: string,
  title: string,
  duration: string,
): Promise<string | undefined> {
  const source = `${MODULE}/cmd/${file}@${MODULE_VERSION}`;
  const built = cachedGoProgram({
    title,
    folder: `${file}-3`,
    file,
    sources: [source, ...FLAGS],
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: `There is no ${file} ${VERSION} yet; building one, which ${duration}`,
    async build(go, context) {
      // Without cgo it needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "install", ...FLAGS, source];
      await runStep(`Building ${title}`, command, { ...context, environment });
      return join(context.folder, file);
    },
  }, { log: console.log });
  return await built.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}
