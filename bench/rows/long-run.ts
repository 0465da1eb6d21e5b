import { setTimeout as delay } from "node:timers/promises";
import { figure, ratios } from "../measure/figure.ts";
import type { Figure } from "../measure/figure.ts";
import { LongPair, SIDES } from "../measure/long-pair.ts";
import type { SideName } from "../measure/long-pair.ts";
import type { Runtime } from "../measure/program.ts";
import { slopeFigure } from "../measure/slope.ts";
import type { Reading } from "../programs/long-run.ts";
import type { Row } from "./row.ts";

const SCRAPE_INTERVAL_MS = 5000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Memory is compared at this many points: the lowest reading of each part of the run. */
const POINTS = 24;
/** Points at the start, while caches fill and the runtime compiles, that slopes leave out. */
const WARM_UP_POINTS = 4;

const VARIANTS = ["bare", "plugin"] as const;
const MEMORY = { heapMB: "heap", residentMB: "resident memory" } as const;

/** What was measured of a pair. */
interface LongSample {
  readonly readings: Record<SideName, Reading>[];
  readonly minutes: { calls: number; p99Ms: number }[];
}

/**
 * Runs pairs with the plugin and without for long, side by side, scraped by protobuf and by text in
 * turn. Shows whether memory rises, and whether calls become slower.
 */
export const longRun: Row = {
  name: "long-run",
  title: "memory, p99 and stalls over an hour, with the plugin / without",
  onlyOnRequest: true,
  async *measure({ runtimes, minutes }) {
    for (const of of runtimes) yield* figures(of, await measureSamples(of, minutes), minutes);
  },
};

async function measureSamples(
  runtime: Runtime,
  minutes: number,
): Promise<Record<typeof VARIANTS[number], LongSample>> {
  const pairs = { bare: await start("bare"), plugin: await start("plugin") };
  async function start(variant: typeof VARIANTS[number]) {
    const pair = await LongPair.start(runtime, variant);
    return { pair, readings: [], minutes: [] } as LongSample & { pair: LongPair };
  }
  const scrapes = minutes * MINUTE_MS / SCRAPE_INTERVAL_MS;
  const scrapesPerMinute = MINUTE_MS / SCRAPE_INTERVAL_MS;
  const startMs = performance.now();
  for (let i = 1; i <= scrapes; i++) {
    // On a busy machine, a scrape may take longer than the interval.
    await delay(Math.max(0, startMs + i * SCRAPE_INTERVAL_MS - performance.now()));
    const order = i % 2 === 0 ? VARIANTS : VARIANTS.toReversed();
    for (const variant of order) {
      const { pair, readings, minutes } = pairs[variant];
      await pair.scrape(i % 2 === 0 ? "text" : "protobuf");
      readings.push(await pair.readings());
      if (i % scrapesPerMinute === 0) minutes.push(await pair.calls());
    }
  }
  for (const variant of VARIANTS) await pairs[variant].pair.stop();
  return pairs;
}

function* figures(
  of: Runtime,
  { bare, plugin }: Record<typeof VARIANTS[number], LongSample>,
  minutes: number,
): Generator<Figure> {
  const hoursPerPoint = minutes * MINUTE_MS / HOUR_MS / POINTS;
  for (const side of SIDES) {
    for (const [key, name] of Object.entries(MEMORY) as [keyof typeof MEMORY, string][]) {
      const what = `${side}, ${name}`;
      const [without, withIt] = [bare, plugin].map(({ readings }) =>
        lowest(readings.map((reading) => reading[side][key])).slice(WARM_UP_POINTS)
      );
      const difference = withIt!.map((MB, index) => MB - without![index]!);
      yield figure({ what: `${what}, without`, of, unit: "MB" }, without!);
      yield figure({ what: `${what}, with`, of, unit: "MB" }, withIt!);
      const unit = "MB/h";
      yield slopeFigure({ what: `${what} rises, without`, of, unit }, without!, hoursPerPoint);
      yield slopeFigure({ what: `${what} rises, with`, of, unit }, withIt!, hoursPerPoint);
      yield slopeFigure(
        { what: `${what} rises, with - without`, of, unit },
        difference,
        hoursPerPoint,
      );
    }
    for (const [name, { readings }] of [["without", bare], ["with", plugin]] as const) {
      const stalls = readings.map((reading) => reading[side].stallMs);
      yield figure({ what: `${side}, longest stall in 5 s, ${name}`, of, unit: "ms" }, stalls);
    }
  }
  const [without, withIt] = [bare, plugin].map((s) => s.minutes.map(({ p99Ms }) => p99Ms));
  yield figure({ what: "p99 of a minute, without", of, unit: "ms" }, without!);
  yield figure({ what: "p99 of a minute, with", of, unit: "ms" }, withIt!);
  yield figure(
    { what: "p99 of a minute, with / without", of, unit: "" },
    ratios(withIt!, without!),
  );
  const calls = [bare, plugin].map((s) => s.minutes.map(({ calls }) => calls / 60));
  yield figure({ what: "calls, without", of, unit: "calls/s" }, calls[0]!);
  yield figure({ what: "calls, with", of, unit: "calls/s" }, calls[1]!);
}

/** Returns the lowest value of each part: between two garbage collections, a heap only grows. */
function lowest(values: readonly number[]): number[] {
  return Array.from({ length: POINTS }, (_, i) => {
    const part = (i: number) => Math.round(i * values.length / POINTS);
    return Math.min(...values.slice(part(i), part(i + 1)));
  });
}
