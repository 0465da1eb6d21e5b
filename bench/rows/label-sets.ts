import { MAX_LABEL_SETS } from "../../plugin/metrics/cardinality.ts";
import { alternate, cpuOfBothSides } from "../measure/alternate.ts";
import { figure, ratios } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import type { Row } from "./row.ts";

/** With `other`, which a server always has, the largest number of label sets the plugin keeps. */
const METHODS = MAX_LABEL_SETS - 1;
/** The first call of each method creates its series, which must not be measured. */
const MIN_WARM_UP_MS = 1000;

/**
 * Compares the cost of a call when calls go to many methods in turn with the cost for one method.
 * Many methods cost more without the plugin too (longer header tables, colder caches), so the goal
 * applies to the ratio with the plugin divided by the ratio without.
 */
export const labelSets: Row = {
  name: "label-sets",
  title: `CPU time of a call, ${METHODS} methods / one`,
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const samples = await alternate({
        bareOne: ownPair(of, "bare"),
        pluginOne: ownPair(of, "plugin"),
        bareMany: ownPair(of, "bare", METHODS),
        pluginMany: ownPair(of, "plugin", METHODS),
      }, { ...settings, warmUpMs: Math.max(settings.warmUpMs, MIN_WARM_UP_MS) });
      const bare = ratios(cpuOfBothSides(samples.bareMany), cpuOfBothSides(samples.bareOne));
      const plugin = ratios(cpuOfBothSides(samples.pluginMany), cpuOfBothSides(samples.pluginOne));
      yield figure({ what: "without the plugin", of, unit: "" }, bare);
      yield figure({ what: "with the plugin", of, unit: "" }, plugin);
      yield figure({ what: "with / without", of, unit: "" }, ratios(plugin, bare), {
        atMost: 1.1,
      });
    }
  },
};
