import type { Metadata } from "@grpc/grpc-js";
import type { Attributes, Context, Histogram } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import type { RetryInstruments } from "../metrics/instruments.ts";
import { recordValue } from "../metrics/series.ts";

/** The metadata key with the number of previous attempts, which transparent retries do not raise. */
const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/** Counts the attempts of one call, for the retry metrics of gRFC A96 and the spans of gRFC A72. */
export class Retries {
  #attempts = 0;
  #active = 0;
  #previous = 0;
  #retries = 0;
  #hedges = 0;
  #transparentRetries = 0;
  #idleSinceMs = 0;
  #delayMs = 0;

  /** The number of attempts before the latest one, without transparent retries. */
  get previous(): number {
    return this.#previous;
  }

  /**
   * Called when an attempt starts.
   *
   * @param metadata The attempt's metadata, with the number of previous attempts.
   * @param hedging Whether the method has a hedging policy.
   * @returns Whether the attempt is a transparent retry.
   */
  startAttempt(metadata: Metadata, hedging: boolean): boolean {
    const isFirst = this.#attempts === 0;
    this.#attempts++;
    this.#active++;
    if (isFirst) return false;
    const previous = Number(metadata.get(PREVIOUS_ATTEMPTS)[0] ?? 0);
    if (previous === this.#previous) {
      this.#transparentRetries++;
      return true;
    }
    if (hedging) this.#hedges++;
    else this.#retries++;
    if (this.#active === 1) this.#delayMs += performance.now() - this.#idleSinceMs;
    this.#previous = previous;
    return false;
  }

  /** Called when an attempt ends. */
  endAttempt(): void {
    this.#active--;
    if (this.#active === 0) this.#idleSinceMs = performance.now();
  }

  /** Records the counts of a call that has ended. Zeros are not recorded (gRFC A96). */
  record(instruments: RetryInstruments, attributes: Attributes, context?: Context): void {
    if (this.#attempts < 2) return;
    const record = (histogram: Histogram, value: number) => {
      if (value > 0) {
        recordValue(histogram, value, withinLimit(histogram, attributes), context);
      }
    };
    record(instruments.retries, this.#retries);
    record(instruments.hedges, this.#hedges);
    record(instruments.transparentRetries, this.#transparentRetries);
    record(instruments.retryDelay, this.#delayMs / 1000);
  }
}
