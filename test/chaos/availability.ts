/**
 * Measures for how long servers and metrics endpoints do not answer.
 *
 * @module
 */
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { echoClient, unary } from "../support/echo.ts";

/** The longest time between two answers. */
export class Gap {
  #longestMs = 0;
  #sinceMs = performance.now();

  /** Notes an answer. */
  answered(): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }

  /** In milliseconds. The time before the first answer counts as a gap too. */
  get longestMs(): number {
    return this.#longestMs;
  }
}

const PROBE_INTERVAL_MS = 100;
const PROBE_DEADLINE_MS = 1000;

/** Calls a server every 100 ms. */
export class Probe {
  readonly gap = new Gap();
  #stopped = false;
  readonly #work: Promise<void>;

  /** @param address The address that the server's clients use. */
  constructor(address: string) {
    this.#work = this.#run(address);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(address: string): Promise<void> {
    const client = echoClient(address, {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    while (!this.#stopped) {
      const reply = await unary(client, "probe", { deadline: Date.now() + PROBE_DEADLINE_MS });
      if (reply === "probe") this.gap.answered();
      await delay(PROBE_INTERVAL_MS);
    }
    client.close();
  }
}

const SCRAPE_INTERVAL_MS = 1000;
/** Prometheus' default. */
const SCRAPE_TIMEOUT_MS = 10_000;

/** Scrapes the metrics of a process every second. */
export class Scraper {
  readonly gap = new Gap();
  /** The number of scrapes that were answered. */
  answered = 0;
  /** The reasons why the other scrapes failed. */
  readonly failures: string[] = [];
  readonly #url: string;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(url: string) {
    this.#url = url;
    this.#work = this.#run();
  }

  /** Stops scraping. Call this before the process stops, so that it does not count as a failure. */
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
      await delay(SCRAPE_INTERVAL_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** Scrapes over a new connection, because the server may close an idle one at any time. */
function scrape(url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { agent: false, signal, timeout: SCRAPE_TIMEOUT_MS } as const;
    const request = get(url, options, (response) => {
      response.on("error", reject).resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`HTTP ${response.statusCode}`));
      });
    });
    request.on("timeout", () => {
      request.destroy(new Error(`no answer in ${SCRAPE_TIMEOUT_MS} ms`));
    });
    request.on("error", reject);
  });
}
