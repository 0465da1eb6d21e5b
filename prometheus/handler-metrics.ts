import { type Family, type Series, smallFamily } from "./text/families.ts";
import { labelSet } from "./text/labels.ts";

/**
 * What the scrape handler tells of itself: promhttp's two families, with its names and help texts
 * and, as there, without scope labels.
 *
 * @see https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/promhttp#InstrumentMetricHandler
 */
export class HandlerMetrics {
  readonly #requests = new Map<number, number>([[200, 0], [500, 0], [503, 0]]);
  #inFlight = 0;

  /** A scrape begins. */
  begin(): void {
    this.#inFlight++;
  }

  /** A scrape has been answered; a scrape doesn't count itself. */
  end(status: number): void {
    this.#inFlight--;
    this.#requests.set(status, (this.#requests.get(status) ?? 0) + 1);
  }

  /** The families as they stand now. */
  families(): Family[] {
    const inFlight: Series[] = [{ labels: labelSet([]), value: this.#inFlight }];
    const requests: Series[] = [...this.#requests].map(([status, value]) => ({
      labels: labelSet([["code", String(status)]]),
      value,
    }));
    return [
      smallFamily({
        name: "promhttp_metric_handler_requests_in_flight",
        type: "gauge",
        help: "Current number of scrapes being served.",
      }, inFlight),
      smallFamily({
        name: "promhttp_metric_handler_requests_total",
        type: "counter",
        help: "Total number of scrapes by HTTP status code.",
      }, requests),
    ];
  }
}
