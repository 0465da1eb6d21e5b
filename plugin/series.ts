import type { Attributes, Context, Counter, Histogram } from "@opentelemetry/api";

/** One instrument with one set of labels. */
export class Series {
  protected readonly attributes: Attributes;
  readonly #instrument: Histogram | Counter;

  constructor(instrument: Histogram | Counter, attributes: Attributes) {
    this.#instrument = instrument;
    this.attributes = attributes;
  }

  /**
   * Records a value of a histogram, or adds one to a counter.
   *
   * @param context The one of a span, for exemplars.
   */
  record(value: number, context: Context | undefined): void {
    if ("record" in this.#instrument) this.#instrument.record(value, this.attributes, context);
    else this.#instrument.add(value, this.attributes, context);
  }
}
