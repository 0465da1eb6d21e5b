import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { Gap } from "./gap.ts";

const INTERVAL_MS = 1000;
/** As Prometheus has it by default. */
const TIMEOUT_MS = 10_000;

/** Asks a process for its metrics every second, while it lives. */
export class Scraper {
  readonly gap = new Gap();
  answered = 0;
  /** Why scrapes were not answered. */
  readonly failures: string[] = [];
  readonly #url: string;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(url: string) {
    this.#url = url;
    this.#work = this.#run();
  }

  /** To be called before the process is stopped: no failure is noted from now on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await scrape(this.#url, signal);
        this.gap.answered();
        this.answered++;
      } catch (error) {
        if (!signal.aborted) this.failures.push(`${this.#url}: ${(error as Error).message}`);
      }
      await delay(INTERVAL_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** Over a connection of its own: one that is kept could be closed from the other side at any time. */
function scrape(url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { agent: false, signal, timeout: TIMEOUT_MS } as const;
    const request = get(url, options, (response) => {
      response.on("error", reject).resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`HTTP ${response.statusCode}`));
      });
    });
    request.on("timeout", () => request.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    request.on("error", reject);
  });
}
