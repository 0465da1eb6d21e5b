import { alternate } from "../measure/alternate.ts";
import type { Sample } from "../measure/alternate.ts";
import { figure } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import type { Row } from "./row.ts";

/** The CPU time of a call in microseconds, on one side or on both. */
const SIDES: Readonly<Record<string, (sample: Sample) => number>> = {
  "client CPU": (sample) => sample.clientCpuUsPerCall,
  "server CPU": (sample) => sample.serverCpuUsPerCall,
  "CPU of both": (sample) => sample.clientCpuUsPerCall + sample.serverCpuUsPerCall,
};

/**
 * Measures how much CPU time the plugin adds to a call. Two processes of the same program differ by
 * more than the plugin costs, so this starts many of them.
 */
export const cpu: Row = {
  name: "cpu",
  title: "CPU time that the plugin on both sides adds to a call",
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const samples = await alternate({
        bare: ownPair(of, "bare"),
        plugin: ownPair(of, "plugin"),
        bareAgain: ownPair(of, "bare"),
      }, { ...settings, ...settings.cpu });
      for (const [side, us] of Object.entries(SIDES)) {
        const [bare, plugin, again] = [samples.bare, samples.plugin, samples.bareAgain]
          .map((s) => s.map(us));
        // Two processes say more than one about what a call costs without the plugin.
        const without = bare!.map((value, i) => Math.sqrt(value * again![i]!));
        yield figure({ what: `${side} a call, without`, of, unit: "us" }, without);
        yield figure(
          { what: `${side} added`, of, unit: "%" },
          addedPercent(plugin!, without),
          { atMost: 3 },
          addedPercent(again!, bare!),
        );
      }
    }
  },
};

/** Returns by how many percent each sample with the plugin exceeds the one without. */
function addedPercent(withIt: readonly number[], without: readonly number[]): number[] {
  return withIt.map((value, index) => (value / without[index]! - 1) * 100);
}
