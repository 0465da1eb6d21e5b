import type { Attributes, Context } from "@opentelemetry/api";
import type { ClientInstruments } from "./instruments.ts";

/** Follows the attempts of one call, for the retry metrics of gRFC A96. */
export class Retries {
  #attempts = 0;
  #active = 0;
  #previous = 0;
  #retries = 0;
  #hedges = 0;
  #transparentRetries = 0;
  #idleSinceMs = 0;
  #delayMs = 0;

  /** How many attempts were started so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How many of them there were before the last one, without transparent retries. */
  get previous(): number {
    return this.#previous;
  }

  /**
   * An attempt starts.
   *
   * @param previous How many attempts were made before by the retry or hedging policy's count. It
   * does not grow with a transparent retry.
   * @param hedging Whether the policy is one of hedging.
   * @returns Whether it is a transparent retry.
   */
  startAttempt(previous: number, hedging: boolean): boolean {
    const isTransparentRetry = this.#attempts > 0 && previous === this.#previous;
    if (isTransparentRetry) {
      this.#transparentRetries++;
    } else if (this.#attempts > 0) {
      if (hedging) this.#hedges++;
      else this.#retries++;
      if (this.#active === 0) this.#delayMs += performance.now() - this.#idleSinceMs;
      this.#previous = previous;
    }
    this.#attempts++;
    this.#active++;
    return isTransparentRetry;
  }

  endAttempt(): void {
    this.#active--;
    if (this.#active === 0) this.#idleSinceMs = performance.now();
  }

  /** The call ended: its counts are recorded, except those that are zero (gRFC A96). */
  record(instruments: ClientInstruments, attributes: Attributes, context?: Context): void {
    if (this.#attempts < 2) return;
    if (this.#retries > 0) instruments.retries.record(this.#retries, attributes, context);
    if (this.#hedges > 0) instruments.hedges.record(this.#hedges, attributes, context);
    if (this.#transparentRetries > 0) {
      instruments.transparentRetries.record(this.#transparentRetries, attributes, context);
    }
    if (this.#delayMs > 0) {
      instruments.retryDelay.record(this.#delayMs / 1000, attributes, context);
    }
  }
}
