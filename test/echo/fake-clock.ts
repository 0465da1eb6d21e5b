import type { Clock } from "../../echo/pacing.ts";

/** A clock whose time jumps from timer to timer, so that minutes of load take milliseconds. */
export class FakeClock implements Clock {
  /** The number of timers set so far. */
  timersSet = 0;
  // Neither zero nor a whole number, like `performance.now()`.
  #nowMs = 12_345.678;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): () => void {
    this.timersSet += 1;
    const timer = { atMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timersLeft(): number {
    return this.#timers.size;
  }

  /** Lets time pass without firing timers, as if the process were stopped. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  /** Fires timers in order until `promise` settles, and runs all promise reactions in between. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => settled = true;
    promise.then(settle, settle);
    for (;;) {
      await new Promise(setImmediate);
      if (settled) return promise;
      const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) throw new Error("not settled, and no timer is left");
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
  }
}
