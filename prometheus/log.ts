import { diag } from "@opentelemetry/api";
import { thrownText } from "../log/thrown-text.ts";

/** OpenTelemetry's `diag`, but if the application's logger throws, only the line is lost. */
export const log = {
  error: (line: string) => attempt(() => diag.error(line)),
  warn: (line: string) => attempt(() => diag.warn(line)),
  info: (line: string) => attempt(() => diag.info(line)),
  debug: (line: string) => attempt(() => diag.debug(line)),
};

function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // There is nowhere left to report to.
  }
}

/** How many failures of one collection are reported at most. */
const MAX_REPORTED = 20;

/**
 * Logs failures that may recur at every scrape: each one once, and again only after a success. A
 * collection with more failures than before has new ones; their texts cannot tell them apart,
 * because these may differ every time.
 */
export class RecurringFailure {
  readonly #description: string;
  #reported = 0;

  /** @param description the start of the line, for example `A metric callback failed` */
  constructor(description: string) {
    this.#description = description;
  }

  /**
   * Logs the new failures of a collection.
   *
   * @param errors the thrown values; empty after a success
   */
  record(errors: readonly unknown[]): void {
    const further = errors.slice(this.#reported, MAX_REPORTED);
    this.#reported = errors.length === 0 ? 0 : this.#reported + further.length;
    for (const error of further) log.error(`${this.#description}: ${thrownText(error)}`);
  }
}
