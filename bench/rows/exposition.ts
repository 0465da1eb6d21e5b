import { rotated } from "../measure/alternate.ts";
import { figure, median, ratios } from "../measure/figure.ts";
import { Program, script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Settings } from "../measure/settings.ts";
import { installPackages } from "../peers/install.ts";
import { LABEL_SETS } from "../programs/scraped-histogram.ts";
import type { Row } from "./row.ts";

/** What each subject makes for a label set: a line for each of 41 bounds, +Inf, sum and count. */
const PARTS = { ours: 44, protobuf: 1, native: 1, stock: 44, "prom-client": 44 };
type Subject = keyof typeof PARTS;
const SUBJECTS = Object.keys(PARTS) as Subject[];

/** Times in milliseconds for the first scrape of a process and for later ones. */
interface Texts {
  readonly first: number[];
  readonly later: number[];
}

/**
 * Compares the time it takes to collect 1,000 label sets with 41 bounds and make their text or
 * protobuf. `native` are exponential histograms by protobuf.
 */
export const exposition: Row = {
  name: "exposition",
  title: `text and protobuf of ${LABEL_SETS} label sets with 41 bounds, other / ours`,
  async *measure(settings) {
    await installPackages();
    for (const of of settings.runtimes) {
      const texts = await measureTexts(of, settings);
      for (const subject of SUBJECTS) {
        const what = `${subject}: `;
        yield figure({ what: `${what}first`, of, unit: "ms" }, texts[subject].first);
        yield figure({ what: `${what}later`, of, unit: "ms" }, texts[subject].later);
      }
      const ours = texts.ours.later;
      yield figure({ what: "stock / ours", of, unit: "" }, ratios(texts.stock.later, ours), {
        atLeast: 5,
      });
      const promClient = texts["prom-client"].later;
      yield figure({ what: "prom-client / ours", of, unit: "" }, ratios(promClient, ours), {
        atLeast: 2,
      });
      for (const subject of ["protobuf", "native"] as const) {
        const { later } = texts[subject];
        yield figure({ what: `ours / ${subject}`, of, unit: "" }, ratios(ours, later));
      }
    }
  },
};

async function measureTexts(
  runtime: Runtime,
  { rounds, scrapes, samplePerWindow }: Settings,
): Promise<Record<Subject, Texts>> {
  const texts = bySubject((): Texts => ({ first: [], later: [] }));
  for (let round = 0; round < rounds; round++) {
    const programs = new Map<Subject, Program>();
    for (const subject of SUBJECTS) {
      const [program] = await Program.start(
        script(runtime, "bench/programs/exposition.ts", subject),
      );
      programs.set(subject, program);
    }
    const later = bySubject((): number[] => []);
    for (let i = 0; i <= scrapes; i++) {
      for (const subject of rotated(SUBJECTS, i)) {
        const { ms, parts } = await programs.get(subject)!.ask<{ ms: number; parts: number }>(
          "text",
        );
        const expected = LABEL_SETS * PARTS[subject];
        if (parts !== expected) throw new Error(`${subject}: ${parts} parts, not ${expected}`);
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

function bySubject<T>(create: () => T): Record<Subject, T> {
  return Object.fromEntries(SUBJECTS.map((subject) => [subject, create()])) as Record<Subject, T>;
}
