import type { Figure } from "../measure/figure.ts";
import type { Settings } from "../measure/settings.ts";

/** One line of the table of goals, or several that are measured together. */
export interface Row {
  /** What `--only` calls it. */
  readonly name: string;
  /** What is measured, in a few words. */
  readonly title: string;
  /** Gives figures as they come, so that an error costs those after it alone. */
  measure(settings: Settings): AsyncGenerator<Figure>;
}
