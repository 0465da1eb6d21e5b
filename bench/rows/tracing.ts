import { alternate, cpuOfBothSides } from "../measure/alternate.ts";
import { figure, ratios } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import type { PairCommands } from "../measure/pair.ts";
import { script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Row } from "./row.ts";

/** Compares the CPU time of traced calls with that of the same spans made by hand, and of none. */
export const tracing: Row = {
  name: "tracing",
  title: "CPU time of traced calls / of the same spans by hand, and of calls that are not sampled",
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const samples = await alternate({
        bare: ownPair(of, "bare"),
        byHand: byHandPair(of, "sampled"),
        spans: ownPair(of, "spans"),
        traced: ownPair(of, "traced"),
        unsampled: ownPair(of, "unsampled"),
        unsampledByHand: byHandPair(of, "unsampled"),
        bareAgain: ownPair(of, "bare"),
      }, settings);
      const bare = cpuOfBothSides(samples.bare);
      const byHand = cpuOfBothSides(samples.byHand);
      const [spans, traced, unsampled] = [samples.spans, samples.traced, samples.unsampled].map(
        cpuOfBothSides,
      );
      const ratio = (what: string, over: number[], under: number[], atMost?: number) =>
        figure(
          { what, of, unit: "" },
          ratios(over, under),
          atMost === undefined ? undefined : { atMost },
        );
      yield ratio("CPU, spans / spans by hand", spans!, byHand, 1.15);
      yield ratio("CPU, spans and metrics / spans by hand", traced!, byHand, 1.15);
      yield ratio("CPU, not sampled, and metrics / without", unsampled!, bare, 1.05);
      yield ratio(
        "CPU, not sampled, by hand / without",
        cpuOfBothSides(samples.unsampledByHand),
        bare,
      );
      yield ratio("CPU, spans by hand / without", byHand, bare);
      yield ratio("CPU, spans and metrics / without", traced!, bare);
      yield ratio("noise floor: without / without", cpuOfBothSides(samples.bareAgain), bare);
    }
  },
};

/** Returns the commands for the server and the client that make their spans by hand. */
function byHandPair(runtime: Runtime, variant: "sampled" | "unsampled"): PairCommands {
  const path = "bench/programs/spans-by-hand.ts";
  return {
    server: script(runtime, path, "server", variant),
    client: (port) => script(runtime, path, "client", `${port}`, variant),
    records: variant === "sampled",
  };
}
