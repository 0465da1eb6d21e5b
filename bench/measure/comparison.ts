import { alternate } from "./alternate.ts";
import { figure } from "./figure.ts";
import type { Figure, Goal } from "./figure.ts";
import { ownSamples } from "./own-pair.ts";
import type { PairCommands } from "./pair.ts";
import type { Runtime } from "./program.ts";
import type { Settings } from "./settings.ts";
import { median, ratios } from "./statistics.ts";

/** Someone's server and client, with what they have for metrics or spans and without. */
export interface Comparison {
  readonly bare: PairCommands;
  readonly instrumented: PairCommands;
}

/** The pairs of a program that is told its side, then whether to record. */
export function comparison(command: (...args: string[]) => string[]): Comparison {
  const pair = (variant: "bare" | "instrumented"): PairCommands => ({
    server: command("server", variant),
    client: (port) => command("client", `${port}`, variant),
    records: variant === "instrumented",
  });
  return { bare: pair("bare"), instrumented: pair("instrumented") };
}

/**
 * Measures what someone costs.
 *
 * @param goal for the ratio of the throughputs
 */
export async function* compare(
  of: string,
  { bare, instrumented }: Comparison,
  settings: Settings,
  goal?: Goal,
): AsyncGenerator<Figure> {
  const samples = await alternate({ bare, instrumented }, settings);
  const [without, withIt] = [samples.bare, samples.instrumented].map((s) => ({
    qps: s.map((one) => one.callsPerSecond),
    cpuUs: s.map((one) => one.clientCpuUsPerCall + one.serverCpuUsPerCall),
  }));
  const qpsRatios = ratios(withIt!.qps, without!.qps);
  const added = withIt!.cpuUs.map((us, index) => us - without!.cpuUs[index]!);
  yield figure({ what: "calls without", of, unit: "calls/s" }, without!.qps);
  yield figure({ what: "throughput with / without", of, unit: "" }, qpsRatios, goal);
  yield figure({ what: "CPU added a call, both sides", of, unit: "us" }, added);
}

/** That a ratio be further from 1 than ours on each of the runtimes. */
export async function costsMoreThanOurs(
  runtimes: readonly Runtime[],
  settings: Settings,
): Promise<Goal> {
  const ours: number[] = [];
  for (const runtime of runtimes) {
    const { bare, plugin } = await ownSamples(runtime, settings);
    const [without, withIt] = [bare, plugin].map((s) => s.map((one) => one.callsPerSecond));
    ours.push(median(ratios(withIt!, without!)));
  }
  return { atMost: Math.min(...ours) };
}
