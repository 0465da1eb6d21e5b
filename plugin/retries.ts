import type { Attributes, Context, Histogram } from "@opentelemetry/api";
import { withinLimit } from "./cardinality.ts";
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
    const isTransparentRetry = this.#attempts > 0 &&
      previous === this.#previous;
    if (isTransparentRetry) {
      this.#transparentRetries++;
    } else if (this.#attempts > 0) {
      if (hedging) this.#hedges++;
      else this.#retries++;
      if (this.#active === 0) {
        this.#delayMs += performance.now() - this.#idleSinceMs;
      }
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
  record(
    instruments: ClientInstruments,
    attributes: Attributes,
    context?: Context,
  ): void {
    if (this.#attempts < 2) return;
    const record = (histogram: Histogram, value: number) => {
      if (value > 0) {
        histogram.record(value, withinLimit(histogram, attributes), context);
      }
    };
    record(instruments.retries, this.#retries);
    record(instruments.hedges, this.#hedges);
    record(instruments.transparentRetries, this.#transparentRetries);
    record(instruments.retryDelay, this.#delayMs / 1000);
  }
}
