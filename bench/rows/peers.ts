import { compare, comparison, costsMoreThanOurs } from "../measure/comparison.ts";
import { ownPair } from "../measure/own-pair.ts";
import { script } from "../measure/program.ts";
import { installPackages } from "../peers/install.ts";
import type { Row } from "./row.ts";

const PEERS = {
  "instrumentation-grpc (spans only)": "instrumentation-grpc.ts",
  "nice-grpc-prometheus": "nice-grpc.ts",
  "prom-client interceptors": "prom-client.ts",
};

/** What other instrumentation for grpc-js costs, on Node. */
export const peers: Row = {
  name: "peers",
  title: "the same for others on Node; the goal is ours on Node",
  async *measure(settings) {
    await installPackages();
    const goal = await costsMoreThanOurs(["node"], settings);
    for (const [of, file] of Object.entries(PEERS)) {
      const pairs = comparison((...args) => script("node", `bench/peers/${file}`, ...args));
      yield* compare(of, pairs, settings, goal);
    }
    const traced = { bare: ownPair("node", "bare"), instrumented: ownPair("node", "traced") };
    yield* compare("ours with a span a call", traced, settings);
  },
};
