import type { Attributes, Context, Counter, Histogram, UpDownCounter } from "@opentelemetry/api";
import { onRejection } from "../../log/rejection.ts";
import { warnOfFailure } from "../warning.ts";

/** One instrument with one set of labels. */
export class Series {
  protected readonly attributes: Attributes;
  readonly #instrument: Histogram | Counter;

  constructor(instrument: Histogram | Counter, attributes: Attributes) {
    this.#instrument = instrument;
    this.attributes = attributes;
  }

  /**
   * Records a value of a histogram, or adds one to a counter. It never throws.
   *
   * @param context The one of a span, for exemplars.
   */
  record(value: number, context: Context | undefined): void {
    recordValue(this.#instrument, value, this.attributes, context);
  }
}

/**
 * Records a value of a histogram, or adds it to a counter. What the application's SDK throws ends
 * here, as a warning, so that it costs neither other metrics nor the end of a span.
 */
export function recordValue(
  instrument: Histogram | Counter | UpDownCounter,
  value: number,
  attributes: Attributes,
  context?: Context,
): void {
  try {
    const returned: unknown = "record" in instrument
      ? instrument.record(value, attributes, context)
      : instrument.add(value, attributes, context);
    if (returned !== undefined) onRejection(returned, warnOfFailure);
  } catch (error) {
    warnOfFailure(error);
  }
}
