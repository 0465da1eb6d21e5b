import { diag } from "@opentelemetry/api";
import { thrownText } from "../log/thrown-text.ts";

/**
 * OpenTelemetry's `diag` with an application's logger shielded: when the logger throws, the line is
 * lost and nothing else.
 */
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

/** Failures of one collection that are reported. */
const MOST_REPORTED = 20;

/**
 * Reports what may fail at every scrape: each failure once, and again only after a success. How many
 * there are tells them apart, as their texts may differ every time.
 */
export class RecurringFailure {
  readonly #description: string;
  #reported = 0;

  /** @param description begins the line, for example `A metric callback failed` */
  constructor(description: string) {
    this.#description = description;
  }

  /** @param errors what was thrown this time; none if all went well */
  settled(errors: readonly unknown[]): void {
    const further = errors.slice(this.#reported, MOST_REPORTED);
    this.#reported = errors.length === 0 ? 0 : this.#reported + further.length;
    for (const error of further) log.error(`${this.#description}: ${thrownText(error)}`);
  }
}
