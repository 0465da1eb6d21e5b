import { alternate, cpuOfBothSides } from "../measure/alternate.ts";
import { figure, ratios } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import type { Row } from "./row.ts";

/** Compares calls per second with a global registration, with the plugin, and with neither. */
export const register: Row = {
  name: "register",
  title:
    "throughput with registerGlobal() on both sides / without, CPU time / instrumented by hand",
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const samples = await alternate({
        bare: ownPair(of, "bare"),
        byHand: ownPair(of, "plugin"),
        global: ownPair(of, "global"),
        bareAgain: ownPair(of, "bare"),
      }, settings);
      const { bare, byHand, global, bareAgain } = samples;
      const qps = [bare, global, bareAgain].map((s) => s.map((one) => one.callsPerSecond));
      const what = "throughput with registerGlobal() / without";
      const noise = ratios(qps[2]!, qps[0]!);
      yield figure({ what, of, unit: "" }, ratios(qps[1]!, qps[0]!), { atLeast: 0.97 }, noise);
      const [globalCpu, byHandCpu] = [global, byHand].map(cpuOfBothSides);
      yield figure(
        { what: "CPU, registerGlobal() / instrumented by hand", of, unit: "" },
        ratios(globalCpu!, byHandCpu!),
        { atMost: 1.02 },
      );
    }
  },
};
