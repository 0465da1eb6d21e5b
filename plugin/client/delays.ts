import type { Attributes, Context, Histogram } from "@opentelemetry/api";
import { createSeries } from "../metrics/sdk-storage.ts";
import type { Series } from "../metrics/series.ts";
import type { DelaySpan } from "./spans.ts";

/** The series of a delay metric for one method, one for each type of delay. */
export class DelaySeries {
  readonly #histogram: Histogram;
  readonly #attributes: Attributes;
  readonly #byType = new Map<string, Series>();

  /** @param attributes The labels except `grpc.delay_type`. */
  constructor(histogram: Histogram, attributes: Attributes) {
    this.#histogram = histogram;
    this.#attributes = attributes;
  }

  /** @param type The label `grpc.delay_type`. Load balancing policies have a few types each. */
  get(type: string): Series {
    let series = this.#byType.get(type);
    if (series === undefined) {
      series = createSeries(this.#histogram, { ...this.#attributes, "grpc.delay_type": type });
      this.#byType.set(type, series);
    }
    return series;
  }
}

/** The span of a call or an attempt. */
interface DelayedSpan {
  /** @returns Undefined if the tracer fails. */
  startDelay(type: string): DelaySpan | undefined;
}

/**
 * Records what one call or one attempt waits for (gRFC A121). It waits for one thing at a time: each
 * delay is recorded once, when it ends.
 */
export class Delays {
  readonly #series: DelaySeries | undefined;
  #context: Context | undefined;
  #parent: DelayedSpan | undefined;
  #isOver = false;
  #type: string | undefined;
  #startMs = 0;
  #span: DelaySpan | undefined;

  /**
   * @param series Undefined if the metric is off.
   * @param context The context of the call or attempt. Undefined if no view reads it.
   * @param parent The span of the call or attempt.
   */
  constructor(
    series: DelaySeries | undefined,
    context: Context | undefined,
    parent: DelayedSpan | undefined,
  ) {
    this.#series = series;
    this.#context = context;
    this.#parent = parent;
  }

  /**
   * Called when the call or attempt has to wait, and again when it still waits for the same or another
   * thing. A delay of another type ends. After {@link close} it does nothing: grpc-js may queue a call
   * that has ended.
   *
   * @param reason A text for people, recorded in the span only.
   */
  begin(type: string, reason: string): void {
    if (this.#isOver) return;
    if (type !== this.#type) {
      this.end();
      this.#type = type;
      this.#startMs = performance.now();
      this.#span = this.#parent?.startDelay(type);
    }
    this.#span?.addReason(reason);
  }

  /** Called when the call or attempt goes on, whether it waited or not. */
  end(): void {
    const type = this.#type;
    if (type === undefined) return;
    this.#type = undefined;
    const seconds = (performance.now() - this.#startMs) / 1000;
    this.#series?.get(type).record(seconds, this.#context);
    this.#span?.end();
    this.#span = undefined;
  }

  /** Called when the call or attempt has ended. What it waits for then is recorded. */
  close(): void {
    this.end();
    this.#isOver = true;
    // What references an attempt may stay in memory until a full garbage collection.
    this.#context = undefined;
    this.#parent = undefined;
  }
}
