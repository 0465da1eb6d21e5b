import { RUNTIME_NAMES } from "./program.ts";
import type { Runtime } from "./program.ts";

/** The duration and number of measurements. */
export interface Settings {
  /** The runtimes to measure. */
  readonly runtimes: readonly Runtime[];
  /** Number of rounds, each with fresh processes. */
  readonly rounds: number;
  /** Windows of load for each pair in a round. */
  readonly windows: number;
  /** Length of a window of load. */
  readonly windowMs: number;
  /** Length of the load before the first window. */
  readonly warmUpMs: number;
  /** How the row `cpu` measures: many rounds, each with a few short windows after a long warm-up. */
  readonly cpu: Pick<Settings, "rounds" | "windows" | "windowMs" | "warmUpMs">;
  /** Number of scrapes or texts after the first one. */
  readonly scrapes: number;
  /** Length of a window with scrapes, and of a window without to compare with. */
  readonly scrapedMs: number;
  /** Number of timed starts of each server. */
  readonly starts: number;
  /** Duration of a run of `client.ts` in seconds. */
  readonly clientSeconds: number;
  /** Duration of the row `long-run` on each runtime, in minutes. */
  readonly minutes: number;
  /** Whether each window is a sample, instead of each round. */
  readonly samplePerWindow: boolean;
}

/** The default. */
export const FULL: Settings = {
  runtimes: RUNTIME_NAMES,
  rounds: 7,
  windows: 6,
  windowMs: 1000,
  warmUpMs: 3000,
  cpu: { rounds: 24, windows: 6, windowMs: 300, warmUpMs: 5000 },
  scrapes: 20,
  scrapedMs: 3000,
  starts: 10,
  clientSeconds: 5,
  minutes: 60,
  samplePerWindow: false,
};

/** For daily use. Shows large differences only. */
export const QUICK: Settings = {
  runtimes: RUNTIME_NAMES,
  rounds: 1,
  windows: 2,
  windowMs: 300,
  warmUpMs: 500,
  cpu: { rounds: 2, windows: 2, windowMs: 300, warmUpMs: 500 },
  scrapes: 3,
  scrapedMs: 1000,
  starts: 2,
  clientSeconds: 1,
  minutes: 2,
  samplePerWindow: true,
};
