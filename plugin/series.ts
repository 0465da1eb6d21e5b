import type { Attributes, Context, Counter, Histogram } from "@opentelemetry/api";
import { withinLimit } from "./cardinality.ts";
import { cellsOf } from "./sdk-storage.ts";

/** One instrument with one set of labels, or with those of the overflow when it has too many. */
export class Series {
  readonly #instrument: Histogram | Counter;
  readonly #attributes: Attributes;
  readonly #cells: ReturnType<typeof cellsOf>;

  constructor(instrument: Histogram | Counter, attributes: Attributes) {
    this.#instrument = instrument;
    this.#attributes = withinLimit(instrument, attributes);
    this.#cells = cellsOf(instrument, this.#attributes);
  }

  /**
   * Records a value of a histogram, or adds one to a counter.
   *
   * @param context The one of a span, for exemplars.
   */
  record(value: number, context: Context | undefined): void {
    if (this.#cells !== undefined && context === undefined) {
      for (const cell of this.#cells) cell.record(value);
    } else if ("record" in this.#instrument) {
      this.#instrument.record(value, this.#attributes, context);
    } else {
      this.#instrument.add(value, this.#attributes, context);
    }
  }
}
