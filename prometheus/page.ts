/** A document for people at `/`, made from the metrics. */
export interface MetricsPage {
  /** The names of the metric families that it shows. */
  readonly families: readonly string[];
  /** Headers of the response, in lower case, for example `content-security-policy`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Returns the document in HTML.
   *
   * @param text the families in text format 0.0.4, in slices of whole lines
   */
  render(text: AsyncIterable<string>): Promise<string>;
}
