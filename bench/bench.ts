/**
 * `npm run bench`: measures what the plugin costs and compares the figures with the goals.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ignoreOutputErrors } from "../log/output.ts";
import { figureTable } from "./figure-table.ts";
import type { Figure } from "./measure/figure.ts";
import { describeMachine } from "./measure/machine.ts";
import { stopPrograms } from "./measure/program.ts";
import { FULL, QUICK } from "./measure/settings.ts";
import { clientScript } from "./rows/client-script.ts";
import { everything } from "./rows/everything.ts";
import { exposition } from "./rows/exposition.ts";
import { labelSets } from "./rows/label-sets.ts";
import { go, peers } from "./rows/peers.ts";
import type { Row } from "./rows/row.ts";
import { register } from "./rows/register.ts";
import { scraped } from "./rows/scraped.ts";
import { stall } from "./rows/stall.ts";
import { startUp } from "./rows/start-up.ts";
import { throughput } from "./rows/throughput.ts";

/** All rows in the order of their measurement. */
const ROWS: readonly Row[] = [
  throughput,
  everything,
  go,
  peers,
  exposition,
  stall,
  scraped,
  labelSets,
  startUp,
  clientScript,
  register,
];

const USAGE = `Usage: npm run bench -- [--quick] [--only=ROW]... [--rounds=N] [--json=PATH]

  --quick      takes less than two minutes; shows large differences only
  --only=ROW   measures only this row; may be given several times:
${ROWS.map(({ name, title }) => `                 ${name.padEnd(14)}${title}`).join("\n")}
  --rounds=N   number of rounds, each with fresh processes (${FULL.rounds})
  --json=PATH  file for the figures (.cache/bench/figures.json)
`;
const DEFAULT_PATH = fileURLToPath(new URL("../.cache/bench/figures.json", import.meta.url));

ignoreOutputErrors();
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: ROWS.map(({ name }) => name) },
    rounds: { type: "string" },
    json: { type: "string", default: DEFAULT_PATH },
    help: { type: "boolean", default: false },
  },
});
const unknown = values.only.filter((name) => !ROWS.some((row) => row.name === name));
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds=${values.rounds}: must be a whole number of at least 1`);
  process.exit(2);
}
if (values.help || unknown.length > 0) {
  for (const name of unknown) console.error(`--only=${name}: must be one of the rows below\n`);
  console.log(USAGE);
  process.exit(unknown.length > 0 ? 2 : 0);
}

const settings = { ...(values.quick ? QUICK : FULL), ...(rounds !== undefined && { rounds }) };
const started = performance.now();
const machine = await describeMachine();
const figures: Figure[] = [];
const failures: string[] = [];
for (const { name, title, measure } of ROWS) {
  if (!values.only.includes(name)) continue;
  console.log(`\n${name}: ${title}\n`);
  const before = figures.length;
  try {
    for await (const figure of measure(settings)) figures.push(figure);
  } catch (error) {
    failures.push(`${name} could not be measured: ${(error as Error).message}`);
    console.error(failures.at(-1));
    await stopPrograms();
  }
  console.log(figureTable(figures.slice(before)));
}

const goals = figures.filter(({ goal }) => goal !== undefined);
const missed = goals.filter(({ passed }) => !passed);
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
console.log(
  `\n${goals.length - missed.length} of ${goals.length} goals reached, in ${minutes} minutes`,
);
await mkdir(dirname(values.json), { recursive: true });
await writeFile(values.json, JSON.stringify({ machine, settings, figures, failures }, null, 2));
console.log(`The figures are in ${values.json}`);
// A missed goal is not an error: on a busy machine, any of them can be missed.
process.exitCode = failures.length > 0 ? 1 : 0;
