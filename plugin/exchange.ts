import type { Context, Histogram } from "@opentelemetry/api";
import type { MethodAttributes } from "./method-attributes.ts";

/** The three histograms that every client attempt and every server call has an entry in. */
export interface ExchangeHistograms {
  /** Seconds. */
  readonly duration: Histogram;
  /** Bytes, compressed, without frames. */
  readonly sent: Histogram;
  /** Bytes, compressed, without frames. */
  readonly received: Histogram;
}

/** The metrics of one client attempt or one server call in progress. */
export class Exchange {
  readonly #histograms: ExchangeHistograms;
  readonly #attributes: MethodAttributes;
  readonly #context: Context | undefined;
  readonly #startMs = performance.now();
  #sentBytes = 0;
  #receivedBytes = 0;

  /** @param context The one of its span, if it has one. */
  constructor(
    histograms: ExchangeHistograms,
    attributes: MethodAttributes,
    context: Context | undefined,
  ) {
    this.#histograms = histograms;
    this.#attributes = attributes;
    this.#context = context;
  }

  /** Messages of so many bytes, compressed, without their frames, were handed to the transport. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Messages of so many bytes, compressed, without their frames, came in. */
  received(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  /**
   * It has its status: one entry in each histogram, zeros included (gRFC A66).
   *
   * @param endMs When it ended, in milliseconds on the clock of `performance.now()`.
   */
  end(statusCode: number, endMs = performance.now()): void {
    const seconds = (endMs - this.#startMs) / 1000;
    const attributes = this.#attributes.ended(statusCode);
    this.#histograms.duration.record(seconds, attributes, this.#context);
    this.#histograms.sent.record(this.#sentBytes, attributes, this.#context);
    this.#histograms.received.record(this.#receivedBytes, attributes, this.#context);
  }
}
