import { compare, comparison, costsMoreThanOurs } from "../measure/comparison.ts";
import { RUNTIME_NAMES } from "../measure/program.ts";
import { goProgram } from "../peers/install.ts";
import type { Row } from "./row.ts";

/** What grpc-go's own plugin costs grpc-go on this machine. */
export const go: Row = {
  name: "go",
  title: "the same for grpc-go's plugin; the goal is the worst of ours",
  async *measure(settings) {
    const program = await goProgram();
    const goal = await costsMoreThanOurs(RUNTIME_NAMES, settings);
    const pairs = comparison((...args) => [program, ...args]);
    yield* compare("grpc-go's plugin", pairs, settings, goal);
  },
};
