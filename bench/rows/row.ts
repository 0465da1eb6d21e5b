import type { Figure } from "../measure/figure.ts";
import type { Settings } from "../measure/settings.ts";

/** A group of figures that are measured together. */
export interface Row {
  /** Its name for `--only`. */
  readonly name: string;
  /** A short description of what is measured. */
  readonly title: string;
  /** Whether it runs only if `--only` names it. */
  readonly onlyOnRequest?: boolean;
  /** Yields each figure when it is ready, so that an error only loses the figures after it. */
  measure(settings: Settings): AsyncGenerator<Figure>;
}
