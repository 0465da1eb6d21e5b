/** The time source of a load run; tests replace it, so that ten seconds of pacing take none. */
export interface Clock {
  /** Monotonic time in milliseconds. */
  now(): number;
  /** Runs `callback` once after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** A longer `setTimeout` fires at once, on every runtime. About 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    // Rounded up: a timer must not fire before its time, only to be set again for the rest.
    const timer = setTimeout(callback, Math.min(Math.ceil(ms), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
