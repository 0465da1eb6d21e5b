/**
 * Runs programs on the three runtimes that call each other while they are killed, disconnected and
 * left without Collectors, Prometheus and disk. Checks that no count is lost.
 *
 *     npm run chaos -- --help
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ignoreOutputErrors } from "../../log/output.ts";
import { LEAST_SECONDS } from "./plan.ts";
import { runChaos } from "./run.ts";
import { table } from "./results-table.ts";

const USAGE = `Usage: npm run chaos -- [--seconds=N] [--seed=N] [--json=FILE]

  --seconds=N  how long calls and faults go on (600); at least 50, so that each fault occurs
  --seed=N     repeats the faults of an earlier run; random if not given
  --json=FILE  writes the results to a file
`;
ignoreOutputErrors();
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: `${Math.floor(Math.random() * 2 ** 31)}` },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (values.help || !(seconds >= LEAST_SECONDS) || !Number.isInteger(seed)) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

console.log(`Chaos for ${seconds} s, --seed=${seed}`);
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => interrupted.abort(new Error(`Ended by ${signal}`)));
}
const results = await runChaos({ seconds, seed, signal: interrupted.signal, log: console.log })
  .catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
}
console.log(`\n${table(results)}`);
for (const failure of results.failures) console.error(`FAIL ${failure}`);
if (results.failures.length === 0) console.log("No count was lost, and nothing else went wrong");
process.exit(results.failures.length === 0 ? 0 : 1);
