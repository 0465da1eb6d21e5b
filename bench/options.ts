import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RUNTIME_NAMES } from "./measure/program.ts";
import type { Runtime } from "./measure/program.ts";
import { FULL, QUICK } from "./measure/settings.ts";
import type { Settings } from "./measure/settings.ts";
import type { Row } from "./rows/row.ts";

/** What the command line asks for. */
export interface Options {
  readonly rows: readonly Row[];
  readonly settings: Settings;
  /** The file for the figures. */
  readonly json: string;
}

const DEFAULT_PATH = fileURLToPath(new URL("../.cache/bench/figures.json", import.meta.url));

/** Returns what the command line asks for. Ends the program after `--help` or a bad option. */
export function readOptions(allRows: readonly Row[]): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true },
      runtime: { type: "string", multiple: true, default: RUNTIME_NAMES },
      rounds: { type: "string" },
      pairs: { type: "string" },
      minutes: { type: "string" },
      json: { type: "string", default: DEFAULT_PATH },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage(allRows));
    process.exit(0);
  }
  const names = allRows.map(({ name }) => name);
  const only = values.only ??
    allRows.filter(({ onlyOnRequest }) => !onlyOnRequest).map(({ name }) => name);
  refuseOthers("only", only, names);
  refuseOthers("runtime", values.runtime, RUNTIME_NAMES);
  const defaults = values.quick ? QUICK : FULL;
  return {
    rows: allRows.filter(({ name }) => only.includes(name)),
    settings: {
      ...defaults,
      runtimes: values.runtime as Runtime[],
      rounds: wholeNumber("rounds", values.rounds) ?? defaults.rounds,
      minutes: wholeNumber("minutes", values.minutes) ?? defaults.minutes,
      cpu: {
        ...defaults.cpu,
        rounds: wholeNumber("pairs", values.pairs) ?? defaults.cpu.rounds,
      },
    },
    json: values.json,
  };
}

function usage(rows: readonly Row[]): string {
  const list = rows.map(({ name, title }) => `                   ${name.padEnd(14)}${title}`);
  return `Usage: npm run bench -- [OPTION]...

  --quick          takes some minutes; shows large differences only
  --only=ROW       measures only this row; may be given several times:
${list.join("\n")}
  --runtime=NAME   measures only on ${RUNTIME_NAMES.join(", ")}; may be given several times
  --rounds=N       number of rounds, each with fresh processes (${FULL.rounds})
  --pairs=N        the same for the row cpu, which needs more (${FULL.cpu.rounds})
  --minutes=N      duration of long-run on each runtime (${FULL.minutes}), which runs only if named
  --json=PATH      file for the figures (.cache/bench/figures.json)
`;
}

function refuseOthers(option: string, values: readonly string[], allowed: readonly string[]): void {
  const bad = values.find((value) => !allowed.includes(value));
  if (bad !== undefined) refuse(`--${option}=${bad}: must be one of ${allowed.join(", ")}`);
}

function wholeNumber(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  return refuse(`--${option}=${value}: must be a whole number of at least 1`);
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
