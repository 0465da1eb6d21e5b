import { type Family, fixedFamily, type LabelledValue } from "./families/families.ts";
import { labelSet } from "./families/labels.ts";

/**
 * The scrape handler's metrics about itself: the two families of promhttp, with its names and help
 * texts and, like there, without scope labels.
 *
 * @see https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/promhttp#InstrumentMetricHandler
 */
export class HandlerMetrics {
  readonly #requests = new Map<number, number>([[200, 0], [500, 0], [503, 0]]);
  #inFlight = 0;

  /** Counts a scrape that begins. */
  begin(): void {
    this.#inFlight++;
  }

  /** Counts an answered scrape under its HTTP status. A scrape does not count itself. */
  end(status: number): void {
    this.#inFlight--;
    this.#requests.set(status, (this.#requests.get(status) ?? 0) + 1);
  }

  /** Returns the families with their current values. */
  families(): Family[] {
    const inFlight: LabelledValue[] = [{ labels: labelSet([]), value: this.#inFlight }];
    const requests: LabelledValue[] = [...this.#requests].map(([status, value]) => ({
      labels: labelSet([["code", String(status)]]),
      value,
    }));
    return [
      fixedFamily({
        name: "promhttp_metric_handler_requests_in_flight",
        type: "gauge",
        help: "Current number of scrapes being served.",
      }, inFlight),
      fixedFamily({
        name: "promhttp_metric_handler_requests_total",
        type: "counter",
        help: "Total number of scrapes by HTTP status code.",
      }, requests),
    ];
  }
}
