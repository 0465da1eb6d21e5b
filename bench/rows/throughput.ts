import { figure, ratios } from "../measure/figure.ts";
import { ownSamples } from "../measure/own-pair.ts";
import { RUNTIME_NAMES } from "../measure/program.ts";
import type { Row } from "./row.ts";

/** Compares calls per second and CPU time with the plugin on both sides and without it. */
export const throughput: Row = {
  name: "throughput",
  title: "throughput and CPU time with the plugin on both sides / without",
  async *measure(settings) {
    for (const of of RUNTIME_NAMES) {
      const { bare, bareAgain, plugin } = await ownSamples(of, settings);
      const qps = [bare, plugin, bareAgain].map((s) => s.map((one) => one.callsPerSecond));
      const client = [bare, plugin].map((s) => s.map((one) => one.clientCpuUsPerCall));
      const server = [bare, plugin].map((s) => s.map((one) => one.serverCpuUsPerCall));
      yield figure({ what: "calls without the plugin", of, unit: "calls/s" }, qps[0]!);
      yield figure({ what: "calls with the plugin", of, unit: "calls/s" }, qps[1]!);
      yield figure({ what: "throughput with / without", of, unit: "" }, ratios(qps[1]!, qps[0]!), {
        atLeast: 0.97,
      });
      yield figure(
        { what: "noise floor: without / without", of, unit: "" },
        ratios(qps[2]!, qps[0]!),
      );
      yield figure({ what: "client CPU a call, without", of, unit: "us" }, client[0]!);
      yield figure({ what: "client CPU added", of, unit: "%" }, addedPercent(client), {
        atMost: 3,
      });
      yield figure({ what: "server CPU a call, without", of, unit: "us" }, server[0]!);
      yield figure({ what: "server CPU added", of, unit: "%" }, addedPercent(server), {
        atMost: 3,
      });
    }
  },
};

/** Returns by how many percent each sample with the plugin exceeds the one without. */
function addedPercent([bare, plugin]: number[][]): number[] {
  return ratios(plugin!, bare!).map((ratio) => (ratio - 1) * 100);
}
