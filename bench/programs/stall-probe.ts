const INTERVAL_MS = 1;

/** Measures stalls of the event loop: how late a repeated timer of one millisecond fires. */
export class StallProbe {
  #lastMs = performance.now();
  #longestMs = 0;

  constructor() {
    this.#schedule();
  }

  /** Restarts the measurement. */
  reset(): void {
    this.#lastMs = performance.now();
    this.#longestMs = 0;
  }

  /** Returns the longest stall since the reset in milliseconds, including a current one. */
  longestMs(): number {
    this.#measure();
    return this.#longestMs;
  }

  #schedule(): void {
    setTimeout(() => {
      this.#measure();
      this.#schedule();
    }, INTERVAL_MS);
  }

  #measure(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastMs - INTERVAL_MS);
    this.#lastMs = now;
  }
}
