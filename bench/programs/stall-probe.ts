const INTERVAL_MS = 1;

/**
 * Measures how long the event loop does not turn: a timer of one millisecond that sets itself anew,
 * and how much later than that it comes.
 */
export class StallProbe {
  #lastMs = performance.now();
  #longestMs = 0;

  constructor() {
    this.#next();
  }

  /** Forgets what was. */
  reset(): void {
    this.#lastMs = performance.now();
    this.#longestMs = 0;
  }

  /** The longest stall since the reset, in milliseconds; the one that is going on counts. */
  longestMs(): number {
    this.#measure();
    return this.#longestMs;
  }

  #next(): void {
    setTimeout(() => {
      this.#measure();
      this.#next();
    }, INTERVAL_MS);
  }

  #measure(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastMs - INTERVAL_MS);
    this.#lastMs = now;
  }
}
