import type { Attributes, Context, Counter, Histogram, UpDownCounter } from "@opentelemetry/api";
import { onRejection } from "../../log/rejection.ts";
import { warnOfFailure } from "../warning.ts";

/** An instrument with one label set. */
export class Series {
  protected readonly attributes: Attributes;
  readonly #instrument: Histogram | Counter;

  constructor(instrument: Histogram | Counter, attributes: Attributes) {
    this.#instrument = instrument;
    this.attributes = attributes;
  }

  /**
   * Records a value in a histogram, or adds it to a counter. Never throws.
   *
   * @param context The context of the call, for views that take labels from it.
   */
  record(value: number, context: Context | undefined): void {
    recordValue(this.#instrument, value, this.attributes, context);
  }
}

/**
 * Records a value in a histogram, or adds it to a counter. Turns an error of the application's SDK
 * into a warning, so that other metrics and spans are still recorded.
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
