import { alternate } from "../measure/alternate.ts";
import type { Sample } from "../measure/alternate.ts";
import { figure } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import { RUNTIME_NAMES } from "../measure/program.ts";
import { ratios } from "../measure/statistics.ts";
import type { Row } from "./row.ts";

/** With `other`, which a server always has, as many label sets as the plugin keeps apart. */
const METHODS = 1998;
/** The first call of each method makes its series, which is not what is measured. */
const LEAST_WARM_UP_MS = 1000;

/**
 * What a call costs when calls go to so many methods in turns, against calls of one method. Without
 * the plugin that costs more as well: longer header tables, colder caches. The goal is for what is
 * left when that is taken out.
 */
export const labelSets: Row = {
  name: "label-sets",
  title: `CPU time of a call, ${METHODS} label sets / one`,
  async *measure(settings) {
    for (const of of RUNTIME_NAMES) {
      const samples = await alternate({
        bareOne: ownPair(of, "bare"),
        pluginOne: ownPair(of, "plugin"),
        bareMany: ownPair(of, "bare", METHODS),
        pluginMany: ownPair(of, "plugin", METHODS),
      }, { ...settings, warmUpMs: Math.max(settings.warmUpMs, LEAST_WARM_UP_MS) });
      const bare = ratios(cpu(samples.bareMany), cpu(samples.bareOne));
      const plugin = ratios(cpu(samples.pluginMany), cpu(samples.pluginOne));
      yield figure({ what: "without the plugin", of, unit: "" }, bare);
      yield figure({ what: "with the plugin", of, unit: "" }, plugin);
      yield figure({ what: "with / without", of, unit: "" }, ratios(plugin, bare), {
        atMost: 1.1,
      });
    }
  },
};

/** Both sides' microseconds. */
function cpu(samples: readonly Sample[]): number[] {
  return samples.map((sample) => sample.clientCpuUsPerCall + sample.serverCpuUsPerCall);
}
