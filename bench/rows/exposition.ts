import { rotated } from "../measure/alternate.ts";
import { figure, median, ratios } from "../measure/figure.ts";
import { Program, RUNTIME_NAMES, script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Settings } from "../measure/settings.ts";
import { installPackages } from "../peers/install.ts";
import { LABEL_SETS } from "../programs/scraped-histogram.ts";
import type { Row } from "./row.ts";

/** Each label set has 41 bounds, +Inf, sum and count. */
const LINES = LABEL_SETS * 44;
const SUBJECTS = ["ours", "stock", "prom-client"] as const;
type Subject = typeof SUBJECTS[number];

/** Times in milliseconds for the first text of a process and for later texts. */
interface Texts {
  readonly first: number[];
  readonly later: number[];
}

/** Compares the time it takes to collect 1,000 label sets with 41 bounds and make their text. */
export const exposition: Row = {
  name: "exposition",
  title: `text of ${LABEL_SETS} label sets with 41 bounds, other / ours`,
  async *measure(settings) {
    await installPackages();
    for (const of of RUNTIME_NAMES) {
      const texts = await measureTexts(of, settings);
      for (const subject of SUBJECTS) {
        const what = `${subject}: `;
        yield figure({ what: `${what}first text`, of, unit: "ms" }, texts[subject].first);
        yield figure({ what: `${what}later texts`, of, unit: "ms" }, texts[subject].later);
      }
      const ours = texts.ours.later;
      yield figure({ what: "stock / ours", of, unit: "" }, ratios(texts.stock.later, ours), {
        atLeast: 5,
      });
      const promClient = texts["prom-client"].later;
      yield figure({ what: "prom-client / ours", of, unit: "" }, ratios(promClient, ours), {
        atLeast: 2,
      });
    }
  },
};

async function measureTexts(
  runtime: Runtime,
  { rounds, scrapes, samplePerWindow }: Settings,
): Promise<Record<Subject, Texts>> {
  const texts: Record<Subject, Texts> = {
    ours: { first: [], later: [] },
    stock: { first: [], later: [] },
    "prom-client": { first: [], later: [] },
  };
  for (let round = 0; round < rounds; round++) {
    const programs = new Map<Subject, Program>();
    for (const subject of SUBJECTS) {
      const [program] = await Program.start(
        script(runtime, "bench/programs/exposition.ts", subject),
      );
      programs.set(subject, program);
    }
    const later: Record<Subject, number[]> = { ours: [], stock: [], "prom-client": [] };
    for (let i = 0; i <= scrapes; i++) {
      for (const subject of rotated(SUBJECTS, i)) {
        const { ms, lines } = await programs.get(subject)!.ask<{ ms: number; lines: number }>(
          "text",
        );
        if (lines !== LINES) throw new Error(`${subject}: ${lines} lines instead of ${LINES}`);
        (i === 0 ? texts[subject].first : later[subject]).push(ms);
      }
    }
    for (const subject of SUBJECTS) {
      texts[subject].later.push(
        ...(samplePerWindow ? later[subject] : [median(later[subject])]),
      );
    }
    for (const program of programs.values()) await program.stop();
  }
  return texts;
}
