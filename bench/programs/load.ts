import { LatencyHistogram } from "../../echo/latency-histogram.ts";
import { answerCommands, cpuMicroseconds } from "./commands.ts";

/** Starts a unary call and calls `done` at its end. */
export type StartCall = (done: (error: Error | null) => void) => void;

/** The performance of a client in one window. The program in Go prints the same fields. */
export interface LoadWindow {
  readonly calls: number;
  readonly seconds: number;
  /** CPU time of the client's process, in microseconds. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The number of calls in flight. */
export const CONCURRENCY = 50;

/**
 * Makes calls when asked on standard input.
 *
 * @param recorded Returns how many calls the instrumentation has recorded.
 */
export function serveLoad(start: StartCall, recorded: () => unknown): void {
  const trickle = new Trickle(start);
  answerCommands(null, {
    run: (milliseconds) => runLoad(start, Number(milliseconds)),
    trickle: () => trickle.begin(),
    rest: () => trickle.end(),
    recorded,
  });
}

/** Keeps 50 calls in flight for a time in milliseconds. A failed call ends the process. */
async function runLoad(start: StartCall, milliseconds: number): Promise<LoadWindow> {
  const latency = new LatencyHistogram();
  const cpuBefore = cpuMicroseconds();
  const startMs = performance.now();
  const endMs = startMs + milliseconds;

  function worker(resolve: () => void): void {
    const callStartMs = performance.now();
    start((error) => {
      if (error) throw error;
      const now = performance.now();
      latency.record((now - callStartMs) / 1000);
      if (now < endMs) worker(resolve);
      else resolve();
    });
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, () => new Promise<void>(worker)));

  return {
    calls: latency.count,
    seconds: (performance.now() - startMs) / 1000,
    cpuUs: cpuMicroseconds() - cpuBefore,
    p50Ms: latency.percentile(50) * 1000,
    p99Ms: latency.percentile(99) * 1000,
  };
}

/** Time between two calls of a {@link Trickle}. */
const TRICKLE_PAUSE_MS = 5;

/** Makes a call every 5 ms, like the users of a service that is far from its limit. */
class Trickle {
  readonly #start: StartCall;
  #calls = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(start: StartCall) {
    this.#start = start;
  }

  /** Begins to make calls. */
  begin(): void {
    this.#calls = 0;
    this.#timer = setInterval(() => {
      this.#start((error) => {
        if (error) throw error;
        this.#calls++;
      });
    }, TRICKLE_PAUSE_MS);
  }

  /**
   * Stops making calls.
   *
   * @returns How many calls were answered.
   */
  end(): number {
    clearInterval(this.#timer);
    return this.#calls;
  }
}
