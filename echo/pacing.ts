/** @module When a load run starts its calls: its clock, pauses, the rate of calls and back-off. */

/** The time source of a load run. Tests replace it, so that ten seconds of load take none. */
export interface Clock {
  /** Returns monotonic time in milliseconds. */
  now(): number;
  /** Runs `callback` once after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** Every runtime fires a longer `setTimeout` at once. About 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    // Rounded up: a timer that fires early would have to be set again for the rest.
    const timer = setTimeout(callback, Math.min(Math.ceil(ms), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** The pauses of a load run, which all end early when the run starts no more calls. */
export class Pauses {
  readonly #clock: Clock;
  readonly #wakers = new Set<() => void>();
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `ms` milliseconds, or at {@link end}; at once if that was called before. */
  pause(ms: number): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        cancelTimer();
        this.#wakers.delete(wake);
        resolve();
      };
      const cancelTimer = this.#clock.after(ms, wake);
      this.#wakers.add(wake);
    });
  }

  /** Ends all pauses, present and future. */
  end(): void {
    this.#ended = true;
    for (const wake of this.#wakers) wake();
  }
}

/**
 * How far behind its schedule a call may still start, in milliseconds. Wide enough that late timers
 * and garbage collection cost no calls. Calls that a longer stall missed are dropped, not sent in a
 * burst.
 */
const LONGEST_LAG_MS = 100;

/**
 * A schedule of evenly spaced start times that all workers share. The times don't depend on when
 * calls end (an open loop), and only a free worker takes one, so that nothing queues up.
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

  /** Takes the next start time, and resolves when it has come or when the pauses end. */
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

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;

/**
 * Returns how long a worker pauses after failed calls, in milliseconds: 100 ms, doubled with each
 * further failure up to 5 s, and shortened by up to half at random so that workers don't retry in
 * step.
 *
 * @param failures failed calls in a row, at least 1
 */
export function backoffMs(failures: number): number {
  const longest = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  return longest * (1 - Math.random() / 2);
}
