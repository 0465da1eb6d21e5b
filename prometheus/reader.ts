import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { withCollectionErrors } from "./collection-errors.ts";

/**
 * The metric reader to give to a `MeterProvider` and to `startScrapeEndpoint`. It collects metrics
 * with cumulative temporality at each scrape, and does nothing in between.
 *
 * It is the SDK's `PrometheusExporter` without its HTTP server, whose text differs from Go's.
 *
 * @see https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/prometheus/
 */
export class PrometheusReader extends PrometheusExporter {
  constructor() {
    super({ preventServerStart: true });
  }

  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(withCollectionErrors(producer));
  }
}
