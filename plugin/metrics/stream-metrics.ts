import type { Attributes, Context, Histogram } from "@opentelemetry/api";
import type { PerStatus } from "./per-method.ts";
import { createSeries } from "./sdk-storage.ts";
import type { Series } from "./series.ts";

/** The three histograms that every client attempt and every server call has an entry in. */
export interface StreamHistograms {
  /** Seconds. */
  readonly duration: Histogram;
  /** Bytes, compressed, without frames. */
  readonly sent: Histogram;
  /** Bytes, compressed, without frames. */
  readonly received: Histogram;
}

/** The three series of one label set. */
export class StreamSeries {
  readonly duration: Series;
  readonly sent: Series;
  readonly received: Series;

  constructor(histograms: StreamHistograms, attributes: Attributes) {
    this.duration = createSeries(histograms.duration, attributes);
    this.sent = createSeries(histograms.sent, attributes);
    this.received = createSeries(histograms.received, attributes);
  }
}

/** The metrics of one client attempt or one server call in progress. */
export class StreamMetrics {
  readonly #series: PerStatus<StreamSeries>;
  readonly #context: Context | undefined;
  readonly #startMs = performance.now();
  #sentBytes = 0;
  #receivedBytes = 0;

  /** @param context The one of its span, if it has one. */
  constructor(series: PerStatus<StreamSeries>, context: Context | undefined) {
    this.#series = series;
    this.#context = context;
  }

  /** Messages of so many bytes, compressed, without their frames, were handed to the transport. */
  protected countSent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Messages of so many bytes, compressed, without their frames, came in. */
  protected countReceived(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  /**
   * It has its status: one entry in each histogram, zeros included (gRFC A66).
   *
   * @param endMs When it ended, in milliseconds on the clock of `performance.now()`.
   */
  protected recordEnd(statusCode: number, endMs: number): void {
    const { duration, sent, received } = this.#series.get(statusCode);
    duration.record((endMs - this.#startMs) / 1000, this.#context);
    sent.record(this.#sentBytes, this.#context);
    received.record(this.#receivedBytes, this.#context);
  }
}
