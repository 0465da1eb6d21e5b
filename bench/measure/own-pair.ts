import { alternate } from "./alternate.ts";
import type { Sample } from "./alternate.ts";
import type { PairCommands } from "./pair.ts";
import { script } from "./program.ts";
import type { Runtime } from "./program.ts";
import type { Settings } from "./settings.ts";

/**
 * Returns the commands for this project's own server and client, both with the same
 * instrumentation.
 *
 * @param methods The number of methods that are called in turn.
 */
export function ownPair(
  runtime: Runtime,
  variant: "bare" | "plugin" | "global" | "everything" | "spans" | "traced" | "unsampled",
  methods = 1,
): PairCommands {
  return {
    server: script(runtime, "bench/programs/server.ts", variant, `${methods}`),
    client: (port) => script(runtime, "bench/programs/client.ts", `${port}`, variant, `${methods}`),
    records: variant !== "bare",
  };
}

/** Samples without the plugin (twice, which shows the noise) and with it. */
export type OwnSamples = Record<"bare" | "bareAgain" | "plugin", Sample[]>;

const measured = new Map<Runtime, Promise<OwnSamples>>();

/** Measures load on a runtime with and without the plugin. Several rows share one measurement. */
export function ownSamples(runtime: Runtime, settings: Settings): Promise<OwnSamples> {
  let samples = measured.get(runtime);
  if (samples === undefined) {
    samples = alternate({
      bare: ownPair(runtime, "bare"),
      plugin: ownPair(runtime, "plugin"),
      bareAgain: ownPair(runtime, "bare"),
    }, settings);
    measured.set(runtime, samples);
  }
  return samples;
}
