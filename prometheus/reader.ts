import { AggregationTemporality, MetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { withCollectionErrors } from "./collection-errors.ts";

/**
 * The metric reader to give to a `MeterProvider` and to `startScrapeEndpoint`. It collects metrics
 * with cumulative temporality at each scrape, and does nothing in between.
 *
 * @see https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/prometheus/
 */
export class PrometheusReader extends MetricReader {
  constructor() {
    super({
      aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE,
      otelComponentType: "prometheus_http_text_metric_exporter",
    });
  }

  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(withCollectionErrors(producer));
  }

  protected override async onForceFlush(): Promise<void> {}

  protected override async onShutdown(): Promise<void> {}
}
