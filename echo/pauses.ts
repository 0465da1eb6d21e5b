import type { Clock } from "./clock.ts";

/** Pauses that all end early, and never begin again, once the run takes no more calls. */
export class Pauses {
  readonly #clock: Clock;
  readonly #wakers = new Set<() => void>();
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `ms` milliseconds, or at {@link end}. */
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

  /** Ends every pause under way. */
  end(): void {
    this.#ended = true;
    for (const wake of this.#wakers) wake();
  }
}
