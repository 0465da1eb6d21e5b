import { setTimeout as delay } from "node:timers/promises";
import { figure } from "../measure/figure.ts";
import { RUNTIME_NAMES } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import { scrape, textOf } from "../measure/scrape.ts";
import { ScrapedPair } from "../measure/scraped-pair.ts";
import type { Settings } from "../measure/settings.ts";
import { LABEL_SETS } from "../programs/scraped-histogram.ts";
import type { Row } from "./row.ts";

const LINES = LABEL_SETS * 44;
const EXPOSITIONS = ["ours", "stock"] as const;

/** Milliseconds of one process. */
interface Stalls {
  /** The longest without any scrape, in as much time as the later scrapes take. */
  readonly quiet: number;
  /** That of the process's first scrape. */
  readonly first: number;
  /** Of each scrape after it. */
  readonly later: readonly number[];
}

/** How long a scrape keeps the event loop of a process that serves calls from turning. */
export const stall: Row = {
  name: "stall",
  title: `longest stall of the event loop, by a scrape of ${LABEL_SETS} label sets`,
  async *measure(settings) {
    for (const of of RUNTIME_NAMES) {
      const stalls: Record<typeof EXPOSITIONS[number], Stalls[]> = { ours: [], stock: [] };
      for (let round = 0; round < settings.rounds; round++) {
        for (const name of EXPOSITIONS) stalls[name].push(await measureStalls(of, name, settings));
      }
      for (const name of EXPOSITIONS) {
        const goal = name === "ours" ? { atMost: 10 } : undefined;
        const longest = stalls[name].map(({ later }) => Math.max(...later));
        const first = stalls[name].map((one) => one.first);
        const quiet = stalls[name].map((one) => one.quiet);
        yield figure({ what: `${name}: without a scrape`, of, unit: "ms" }, quiet);
        yield figure({ what: `${name}: first scrape`, of, unit: "ms" }, first, goal);
        yield figure({ what: `${name}: later scrapes`, of, unit: "ms" }, longest, goal);
      }
    }
  },
};

async function measureStalls(
  runtime: Runtime,
  exposition: "ours" | "stock",
  { scrapes, warmUpMs }: Settings,
): Promise<Stalls> {
  const pair = await ScrapedPair.start(runtime, exposition);
  await pair.load(warmUpMs);
  const stalls = await pair.trickle(async () => {
    await pair.collectGarbage();
    await delay(SETTLE_MS);
    const first = await pair.stallDuring(async () => {
      const lines = textOf(await scrape(pair.url)).match(/^bench_call_duration\w*\{/gm)?.length;
      if (lines !== LINES) throw new Error(`${lines} lines instead of ${LINES}`);
    });
    const later: number[] = [];
    const start = performance.now();
    for (let i = 0; i < scrapes; i++) later.push(await pair.stallDuring(() => scrape(pair.url)));
    const quiet = await pair.stallDuring(() => delay(performance.now() - start));
    return { quiet, first, later };
  });
  await pair.stop();
  return stalls;
}

/** After the garbage of the warm-up is collected, which would be taken for the scrape's. */
const SETTLE_MS = 200;
