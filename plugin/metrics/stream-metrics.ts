import type { Attributes, Context, Histogram } from "@opentelemetry/api";
import type { PerStatus } from "./per-method.ts";
import { createSeries } from "./sdk-storage.ts";
import type { Series } from "./series.ts";

/** The three histograms that record every client attempt and every server call. */
export interface StreamHistograms {
  /** In seconds. */
  readonly duration: Histogram;
  /** In bytes, compressed, without message prefixes. */
  readonly sent: Histogram;
  /** In bytes, compressed, without message prefixes. */
  readonly received: Histogram;
}

/** The series of the three histograms with one label set. */
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

/** Measures one HTTP/2 stream: a client attempt or a server call in progress. */
export class StreamMetrics {
  protected series: PerStatus<StreamSeries>;
  protected readonly context: Context | undefined;
  readonly #startMs = performance.now();
  #sentBytes = 0;
  #receivedBytes = 0;

  /** @param context The context of the call. Undefined if no view reads it. */
  constructor(series: PerStatus<StreamSeries>, context: Context | undefined) {
    this.series = series;
    this.context = context;
  }

  /** @param bytes The compressed size of a message handed to the transport, without its prefix. */
  protected countSent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** @param bytes The compressed size of a received message, without its prefix. */
  protected countReceived(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  /**
   * Records the stream once in each histogram, zeros included (gRFC A66).
   *
   * @param endMs The end, in milliseconds on the clock of `performance.now()`.
   */
  protected recordEnd(statusCode: number, endMs: number): void {
    const { duration, sent, received } = this.series.get(statusCode);
    duration.record((endMs - this.#startMs) / 1000, this.context);
    sent.record(this.#sentBytes, this.context);
    received.record(this.#receivedBytes, this.context);
  }
}
