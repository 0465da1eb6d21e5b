import { alternate } from "./alternate.ts";
import type { Sample } from "./alternate.ts";
import type { PairCommands } from "./pair.ts";
import { script } from "./program.ts";
import type { Runtime } from "./program.ts";
import type { Settings } from "./settings.ts";

/**
 * A server and a client of the project's own, both with the same instrumentation.
 *
 * @param methods how many methods are called in turns
 */
export function ownPair(
  runtime: Runtime,
  variant: "bare" | "plugin" | "traced",
  methods = 1,
): PairCommands {
  return {
    server: script(runtime, "bench/programs/server.ts", variant, `${methods}`),
    client: (port) => script(runtime, "bench/programs/client.ts", `${port}`, variant, `${methods}`),
    records: variant !== "bare",
  };
}

/** Without the plugin, once more without it, and with it. */
export type OwnSamples = Record<"bare" | "bareAgain" | "plugin", Sample[]>;

const measured = new Map<Runtime, Promise<OwnSamples>>();

/** Load on a runtime with the plugin and without; measured once, however many rows need it. */
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
