import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { withCollectionErrors } from "./collection-errors.ts";

/**
 * The metric reader of the pull path: `new MeterProvider({ readers: [reader] })`. It collects
 * cumulative data when asked to and does nothing in between. The stock exporter's own server,
 * with its own text, is never started; `startScrapeEndpoint` serves instead.
 */
export class PrometheusReader extends PrometheusExporter {
  constructor() {
    super({ preventServerStart: true });
  }

  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(withCollectionErrors(producer));
  }
}
