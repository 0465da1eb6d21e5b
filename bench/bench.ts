/**
 * Measures what the plugin costs, against the goals: `npm run bench -- --help`.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ignoreOutputErrors } from "../log/output.ts";
import type { Figure } from "./measure/figure.ts";
import { describeMachine } from "./measure/machine.ts";
import { stopPrograms } from "./measure/program.ts";
import { FULL, QUICK } from "./measure/settings.ts";
import { ROWS } from "./rows/mod.ts";
import { figureTable } from "./figure-table.ts";

const USAGE = `Usage: npm run bench -- [--quick] [--only=ROW]... [--rounds=N] [--json=PATH]

  --quick      less than two minutes, for daily use: shows what is far off, not a percent
  --only=ROW   measures this alone; may be given several times:
${ROWS.map(({ name, title }) => `                 ${name.padEnd(14)}${title}`).join("\n")}
  --rounds=N   times that everything is done with fresh processes (${FULL.rounds})
  --json=PATH  where the figures are written to (.cache/bench/figures.json)
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
  console.error(`--rounds=${values.rounds} has to be a whole number from 1`);
  process.exit(2);
}
if (values.help || unknown.length > 0) {
  for (const name of unknown) console.error(`There is no row "${name}".\n`);
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
// A goal that is missed is no error: on a busy machine any of them can be.
process.exitCode = failures.length > 0 ? 1 : 0;
