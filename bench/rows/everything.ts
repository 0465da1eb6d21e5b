import { alternate, cpuOfBothSides } from "../measure/alternate.ts";
import { figure, ratios } from "../measure/figure.ts";
import { ownPair } from "../measure/own-pair.ts";
import type { Row } from "./row.ts";

/** Compares all metrics with all optional labels, and the metrics that are on by default (gRFC A66). */
export const everything: Row = {
  name: "everything",
  title: "throughput and CPU time with everything on / the default metrics alone (gRFC A66)",
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const { bare, a66, all } = await alternate({
        bare: ownPair(of, "bare"),
        a66: ownPair(of, "plugin"),
        all: ownPair(of, "everything"),
      }, settings);
      const qps = [bare, a66, all].map((s) => s.map((one) => one.callsPerSecond));
      const cpu = [bare, a66, all].map(cpuOfBothSides);
      const added = [1, 2].map((index) => cpu[index]!.map((us, i) => us - cpu[0]![i]!));
      yield figure(
        { what: "throughput, A66 alone / without", of, unit: "" },
        ratios(qps[1]!, qps[0]!),
      );
      yield figure(
        { what: "throughput, everything / without", of, unit: "" },
        ratios(qps[2]!, qps[0]!),
      );
      yield figure(
        { what: "throughput, everything / A66 alone", of, unit: "" },
        ratios(qps[2]!, qps[1]!),
      );
      yield figure({ what: "CPU added a call, A66 alone", of, unit: "us" }, added[0]!);
      yield figure({ what: "CPU added a call, everything", of, unit: "us" }, added[1]!);
      yield figure(
        { what: "CPU, everything / without", of, unit: "" },
        ratios(cpu[2]!, cpu[0]!),
        { atMost: 1.05 },
      );
    }
  },
};
