import { oneLine } from "../../log/thrown-text.ts";
import { log } from "../log.ts";

/** Names and labels may come from clients, which must not make memory or the log grow. */
const MAX_WARNINGS = 100;

/** Warns about metrics that are not shown as they are: once about each. */
export class MetricWarnings {
  readonly #given = new Set<string>();

  /** Warns that a metric is left out. */
  leftOut(what: string, reason: string): void {
    this.once(`The metric ${what} is left out of the Prometheus text: ${reason}`);
  }

  /** Logs a warning, unless it was logged before. */
  once(warning: string): void {
    if (this.#given.size >= MAX_WARNINGS || this.#given.has(warning)) return;
    this.#given.add(warning);
    log.warn(oneLine(warning));
    if (this.#given.size === MAX_WARNINGS) {
      log.warn(`No further warnings about metrics are shown, after ${MAX_WARNINGS} of them`);
    }
  }
}
