import type { Clock } from "./clock.ts";
import type { Pauses } from "./pauses.ts";

/**
 * How far behind its schedule a call may still start. Wide enough for late timers and garbage
 * collection, so that they cost no calls; what a longer stall missed is dropped, not sent in a burst.
 */
const LONGEST_LAG_MS = 100;

/**
 * A schedule of evenly spaced start times that all workers share. The times don't depend on when
 * calls end (an open loop), and only a free worker takes one, so nothing queues up.
 */
export class Pace {
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  readonly #intervalMs: number;
  #nextMs: number;

  /** @param qps calls per second, above 0; the first is due at once */
  constructor(qps: number, clock: Clock, pauses: Pauses) {
    this.#clock = clock;
    this.#pauses = pauses;
    this.#intervalMs = 1000 / qps;
    this.#nextMs = clock.now();
  }

  /** Takes the next start time and resolves when it has come, or when the pauses are ended. */
  async turn(): Promise<void> {
    for (;;) {
      const nowMs = this.#clock.now();
      const dueMs = Math.max(this.#nextMs, nowMs - LONGEST_LAG_MS);
      this.#nextMs = dueMs + this.#intervalMs;
      if (dueMs <= nowMs) return;
      await this.#pauses.pause(dueMs - nowMs);
      if (this.#clock.now() - dueMs <= LONGEST_LAG_MS) return;
      // The process itself stalled, perhaps while many workers waited: take another time.
    }
  }
}
