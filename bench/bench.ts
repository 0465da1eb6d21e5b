/**
 * `npm run bench`: measures what the plugin costs and compares the figures with the goals.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { ignoreOutputErrors } from "../log/output.ts";
import { figureTable } from "./figure-table.ts";
import type { Figure } from "./measure/figure.ts";
import { describeMachine } from "./measure/machine.ts";
import { stopPrograms } from "./measure/program.ts";
import { readOptions } from "./options.ts";
import { clientScript } from "./rows/client-script.ts";
import { cpu } from "./rows/cpu.ts";
import { everything } from "./rows/everything.ts";
import { exposition } from "./rows/exposition.ts";
import { installed } from "./rows/installed.ts";
import { labelSets } from "./rows/label-sets.ts";
import { longRun } from "./rows/long-run.ts";
import { go, peers } from "./rows/peers.ts";
import type { Row } from "./rows/row.ts";
import { register } from "./rows/register.ts";
import { scraped } from "./rows/scraped.ts";
import { stall } from "./rows/stall.ts";
import { startUp } from "./rows/start-up.ts";
import { throughput } from "./rows/throughput.ts";
import { tracing } from "./rows/tracing.ts";

/** All rows in the order of their measurement. */
const ROWS: readonly Row[] = [
  throughput,
  cpu,
  everything,
  tracing,
  go,
  peers,
  exposition,
  stall,
  scraped,
  labelSets,
  startUp,
  installed,
  clientScript,
  register,
  longRun,
];

ignoreOutputErrors();
const { rows, settings, json } = readOptions(ROWS);
const started = performance.now();
const machine = await describeMachine();
const figures: Figure[] = [];
const failures: string[] = [];
for (const { name, title, measure } of rows) {
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
await mkdir(dirname(json), { recursive: true });
await writeFile(json, JSON.stringify({ machine, settings, figures, failures }, null, 2));
console.log(`The figures are in ${json}`);
// A missed goal is not an error: on a busy machine, any of them can be missed.
process.exitCode = failures.length > 0 ? 1 : 0;
