import { setTimeout as delay } from "node:timers/promises";
import { figure } from "../measure/figure.ts";
import type { Runtime } from "../measure/program.ts";
import { decode, PROTOBUF, scrape, ScrapedPair, TEXT } from "../measure/scraped-pair.ts";
import type { Settings } from "../measure/settings.ts";
import { LABEL_SETS } from "../programs/scraped-histogram.ts";
import type { Row } from "./row.ts";

/** Each label set has 41 bounds, +Inf, sum and count. */
const LINES = LABEL_SETS * 44;
/** Pause after a garbage collection, so that it does not count as part of the scrape. */
const SETTLE_MS = 200;
const EXPOSITIONS = ["ours", "protobuf", "stock"] as const;
type Exposition = typeof EXPOSITIONS[number];

/** The longest stalls of one process in milliseconds. */
interface Stalls {
  /** Without any scrape, over as much time as the later scrapes take. */
  readonly quiet: number;
  /** During the process's first scrape. */
  readonly first: number;
  /** During each later scrape. */
  readonly later: readonly number[];
}

/** Measures how long a scrape blocks the event loop of a server with some calls. */
export const stall: Row = {
  name: "stall",
  title: `longest stall of the event loop, by a scrape of ${LABEL_SETS} label sets`,
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const stalls: Record<Exposition, Stalls[]> = { ours: [], protobuf: [], stock: [] };
      for (let round = 0; round < settings.rounds; round++) {
        for (const name of EXPOSITIONS) stalls[name].push(await measureStalls(of, name, settings));
      }
      for (const name of EXPOSITIONS) {
        const goal = name === "stock" ? undefined : { atMost: 10 };
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
  exposition: Exposition,
  { scrapes, warmUpMs }: Settings,
): Promise<Stalls> {
  const pair = await ScrapedPair.start(runtime, exposition === "stock" ? "stock" : "ours");
  const format = exposition === "protobuf" ? PROTOBUF : TEXT;
  await pair.load(warmUpMs);
  const stalls = await pair.trickle(async () => {
    await pair.collectGarbage();
    await delay(SETTLE_MS);
    const first = await pair.stallDuring(async () => {
      const body = decode(await scrape(pair.url, format));
      if (exposition === "protobuf") {
        const sets = body.match(/package\.Service\d+\/Method/g)?.length;
        if (sets !== LABEL_SETS) throw new Error(`${sets} label sets instead of ${LABEL_SETS}`);
        return;
      }
      const lines = body.match(/^bench_call_duration\w*\{/gm)?.length;
      if (lines !== LINES) throw new Error(`${lines} lines instead of ${LINES}`);
    });
    const later: number[] = [];
    const start = performance.now();
    for (let i = 0; i < scrapes; i++) {
      later.push(await pair.stallDuring(() => scrape(pair.url, format)));
    }
    const quiet = await pair.stallDuring(() => delay(performance.now() - start));
    return { quiet, first, later };
  });
  await pair.stop();
  return stalls;
}
