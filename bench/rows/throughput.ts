import { figure, ratios } from "../measure/figure.ts";
import { ownSamples } from "../measure/own-pair.ts";
import type { Row } from "./row.ts";

/** Compares calls per second with the plugin on both sides and without it. */
export const throughput: Row = {
  name: "throughput",
  title: "throughput with the plugin on both sides / without",
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const { bare, bareAgain, plugin } = await ownSamples(of, settings);
      const qps = [bare, plugin, bareAgain].map((s) => s.map((one) => one.callsPerSecond));
      yield figure({ what: "calls without the plugin", of, unit: "calls/s" }, qps[0]!);
      yield figure({ what: "calls with the plugin", of, unit: "calls/s" }, qps[1]!);
      yield figure(
        { what: "throughput with / without", of, unit: "" },
        ratios(qps[1]!, qps[0]!),
        { atLeast: 0.97 },
        ratios(qps[2]!, qps[0]!),
      );
    }
  },
};
