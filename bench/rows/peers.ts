import { alternate, cpuOfBothSides } from "../measure/alternate.ts";
import { figure, median, ratios } from "../measure/figure.ts";
import type { Figure, Goal } from "../measure/figure.ts";
import { ownPair, ownSamples } from "../measure/own-pair.ts";
import type { PairCommands } from "../measure/pair.ts";
import { script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Settings } from "../measure/settings.ts";
import { goProgram, installPackages } from "../peers/install.ts";
import type { Row } from "./row.ts";

/** Measures what grpc-go's own plugin costs on this machine. */
export const go: Row = {
  name: "go",
  title: "cost of grpc-go's own plugin; the goal is the worst of ours",
  async *measure(settings) {
    const program = await goProgram();
    const goal = await costsMoreThanOurs(settings.runtimes, settings);
    const command = (...args: string[]) => [program, ...args];
    yield* compare("grpc-go's plugin", comparison(command), settings, goal);
    yield* compare("grpc-go's, and spans", comparison(command, "traced"), settings);
  },
};

const PEERS = {
  "instrumentation-grpc (spans only)": "instrumentation-grpc.ts",
  "nice-grpc-prometheus": "nice-grpc.ts",
  "prom-client interceptors": "prom-client.ts",
};

/** Measures what other instrumentation for grpc-js costs on Node. */
export const peers: Row = {
  name: "peers",
  title: "cost of other instrumentation on Node; the goal is ours on Node",
  async *measure(settings) {
    await installPackages();
    const goal = await costsMoreThanOurs(["node"], settings);
    for (const [of, file] of Object.entries(PEERS)) {
      const pairs = comparison((...args) => script("node", `bench/peers/${file}`, ...args));
      yield* compare(of, pairs, settings, goal);
    }
    const bare = ownPair("node", "bare");
    const spans = { bare, instrumented: ownPair("node", "spans") };
    yield* compare("ours (spans only)", spans, settings);
    const traced = { bare, instrumented: ownPair("node", "traced") };
    yield* compare("ours, and spans", traced, settings);
  },
};

/** A peer's server and client, without and with their instrumentation. */
interface Comparison {
  readonly bare: PairCommands;
  readonly instrumented: PairCommands;
}

/**
 * Returns the two pairs of a program that takes `server VARIANT` or `client PORT VARIANT` as its
 * arguments.
 */
function comparison(
  command: (...args: string[]) => string[],
  instrumented = "instrumented",
): Comparison {
  const pair = (variant: string): PairCommands => ({
    server: command("server", variant),
    client: (port) => command("client", `${port}`, variant),
    records: variant !== "bare",
  });
  return { bare: pair("bare"), instrumented: pair(instrumented) };
}

/**
 * Measures what a peer's instrumentation costs.
 *
 * @param goal The goal for the ratio of the throughputs.
 */
async function* compare(
  of: string,
  { bare, instrumented }: Comparison,
  settings: Settings,
  goal?: Goal,
): AsyncGenerator<Figure> {
  const samples = await alternate({ bare, instrumented }, settings);
  const [without, withIt] = [samples.bare, samples.instrumented].map((s) => ({
    qps: s.map((one) => one.callsPerSecond),
    cpuUs: cpuOfBothSides(s),
  }));
  const qpsRatios = ratios(withIt!.qps, without!.qps);
  const added = withIt!.cpuUs.map((us, index) => us - without!.cpuUs[index]!);
  yield figure({ what: "calls without", of, unit: "calls/s" }, without!.qps);
  yield figure({ what: "throughput with / without", of, unit: "" }, qpsRatios, goal);
  yield figure({ what: "CPU added a call, both sides", of, unit: "us" }, added);
}

/** Returns the goal that a peer's throughput ratio is below ours on each of the runtimes. */
async function costsMoreThanOurs(runtimes: readonly Runtime[], settings: Settings): Promise<Goal> {
  const ours: number[] = [];
  for (const runtime of runtimes) {
    const { bare, plugin } = await ownSamples(runtime, settings);
    const [without, withIt] = [bare, plugin].map((s) => s.map((one) => one.callsPerSecond));
    ours.push(median(ratios(withIt!, without!)));
  }
  return { atMost: Math.min(...ours) };
}
