/** The longest time between two answers, of something that is asked all the time. */
export class Gap {
  #longestMs = 0;
  #sinceMs = performance.now();

  /** It has answered now. */
  answered(): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }

  /** In milliseconds; from the begin to the first answer counts too. */
  get longestMs(): number {
    return this.#longestMs;
  }
}
