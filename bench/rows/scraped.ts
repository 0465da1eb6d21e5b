import { setTimeout as delay } from "node:timers/promises";
import { figure, median, ratios } from "../measure/figure.ts";
import type { Runtime } from "../measure/program.ts";
import { scrape, ScrapedPair } from "../measure/scraped-pair.ts";
import type { Settings } from "../measure/settings.ts";
import type { LoadWindow } from "../programs/load.ts";
import { LABEL_SETS } from "../programs/scraped-histogram.ts";
import type { Row } from "./row.ts";

const SCRAPE_INTERVAL_MS = 1000;

/** Measures how much a scrape every second slows calls down, at the 99th percentile. */
export const scraped: Row = {
  name: "scraped",
  title: `p99 of calls, scraped every second with ${LABEL_SETS} label sets / not scraped`,
  async *measure(settings) {
    for (const of of settings.runtimes) {
      const { quiet, scraped } = await measureWindows(of, settings);
      const [without, withIt] = [quiet, scraped].map((s) => s.map(({ p99Ms }) => p99Ms));
      const [bare, busy] = [quiet, scraped].map((s) =>
        s.map(({ calls, seconds }) => calls / seconds)
      );
      yield figure({ what: "p99 not scraped", of, unit: "ms" }, without!);
      yield figure({ what: "p99 scraped", of, unit: "ms" }, withIt!);
      yield figure({ what: "p99 scraped / not", of, unit: "" }, ratios(withIt!, without!), {
        atMost: 1.1,
      });
      yield figure({ what: "throughput scraped / not", of, unit: "" }, ratios(busy!, bare!));
    }
  },
};

type Windows = Record<"quiet" | "scraped", Pick<LoadWindow, "calls" | "seconds" | "p99Ms">[]>;

async function measureWindows(runtime: Runtime, settings: Settings): Promise<Windows> {
  const { rounds, windows, warmUpMs, scrapedMs, samplePerWindow } = settings;
  const all: Windows = { quiet: [], scraped: [] };
  for (let round = 0; round < rounds; round++) {
    const pair = await ScrapedPair.start(runtime, "ours");
    await pair.load(warmUpMs);
    await scrape(pair.url);
    const roundWindows: Windows = { quiet: [], scraped: [] };
    for (let i = 0; i < windows; i++) {
      const order = (round + i) % 2 === 0 ? ["quiet", "scraped"] : ["scraped", "quiet"];
      for (const kind of order as (keyof Windows)[]) {
        const window = pair.load(scrapedMs);
        if (kind === "scraped") await scrapeDuring(pair.url, window);
        roundWindows[kind].push(await window);
      }
    }
    await pair.stop();
    for (const kind of ["quiet", "scraped"] as const) {
      const measured = roundWindows[kind];
      all[kind].push(...(samplePerWindow ? measured : [summarize(measured)]));
    }
  }
  return all;
}

/** Scrapes once a second until the promise settles. The first scrape is after half a second. */
async function scrapeDuring(url: string, window: Promise<unknown>): Promise<void> {
  let open = true;
  const closed = window.finally(() => open = false);
  await delay(SCRAPE_INTERVAL_MS / 2);
  while (open) {
    const next = delay(SCRAPE_INTERVAL_MS);
    await scrape(url);
    await Promise.race([next, closed]);
  }
}

function summarize(windows: Windows["quiet"]): Windows["quiet"][number] {
  return {
    calls: windows.reduce((sum, { calls }) => sum + calls, 0),
    seconds: windows.reduce((sum, { seconds }) => sum + seconds, 0),
    p99Ms: median(windows.map(({ p99Ms }) => p99Ms)),
  };
}
