import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { megabytes } from "../support/heap.ts";

const SAMPLE_EVERY = 500;

/** Samples the resident memory of a process. */
export class Memory {
  readonly #pid: number;
  readonly #bytes: number[] = [];

  constructor(pid: number) {
    this.#pid = pid;
    this.sample(0);
  }

  /** @param inputs The number of bad inputs so far. */
  sample(inputs: number): void {
    if (inputs % SAMPLE_EVERY !== 0) return;
    const kilobytes = execFileSync("ps", ["-o", "rss=", "-p", `${this.#pid}`], {
      encoding: "utf8",
    });
    this.#bytes.push(Number(kilobytes) * 1024);
  }

  /**
   * Returns the growth since the start in bytes.
   *
   * @param inputs The number of inputs at the sample, a multiple of 500.
   */
  growthAt(inputs: number): number {
    return this.#bytes[inputs / SAMPLE_EVERY]! - this.#bytes[0]!;
  }

  toString(): string {
    const half = Math.floor(this.#bytes.length / 2);
    const last = this.#bytes.length - 1;
    const slope = (this.#bytes[last]! - this.#bytes[half]!) / ((last - half) * SAMPLE_EVERY);
    return `${megabytes(this.#bytes[0]!)} to ${megabytes(this.#bytes[last]!)}, ` +
      `${(slope / 1000).toFixed(1)} kB an input in the second half`;
  }
}

/** Repeats `work` until it is stopped, with a pause in milliseconds. */
export function repeated(work: () => Promise<void>, pauseMs: number) {
  let stopped = false;
  let times = 0;
  let longestMs = 0;
  const done = (async () => {
    while (!stopped) {
      const startMs = performance.now();
      await work();
      times++;
      longestMs = Math.max(longestMs, performance.now() - startMs);
      await delay(pauseMs);
    }
  })();
  // `stop` throws the error of a failure.
  done.catch(() => {});
  return {
    async stop(): Promise<{ times: number; longestMs: number }> {
      stopped = true;
      await done;
      return { times, longestMs };
    },
  };
}

/** Returns the port of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
