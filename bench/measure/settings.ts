/** How long is measured. */
export interface Settings {
  /** Times that everything is done with fresh processes. */
  readonly rounds: number;
  /** Windows of load that each pair of processes has, in turns. */
  readonly windows: number;
  readonly windowMs: number;
  /** Load before the first window. */
  readonly warmUpMs: number;
  /** Scrapes, or texts made, after the first one. */
  readonly scrapes: number;
  /** Length of a window in which there are scrapes, and of one to compare with. */
  readonly scrapedMs: number;
  /** Starts of each server whose start is timed. */
  readonly starts: number;
  /** Seconds that `client.ts` runs. */
  readonly clientSeconds: number;
  /** Whether each window is a sample of its own, because there is only one round. */
  readonly samplePerWindow: boolean;
}

export const FULL: Settings = {
  rounds: 7,
  windows: 6,
  windowMs: 1000,
  warmUpMs: 3000,
  scrapes: 20,
  scrapedMs: 3000,
  starts: 10,
  clientSeconds: 5,
  samplePerWindow: false,
};

/** For daily use: shows what is far off, not a percent. */
export const QUICK: Settings = {
  rounds: 1,
  windows: 2,
  windowMs: 300,
  warmUpMs: 500,
  scrapes: 3,
  scrapedMs: 1000,
  starts: 2,
  clientSeconds: 1,
  samplePerWindow: true,
};
