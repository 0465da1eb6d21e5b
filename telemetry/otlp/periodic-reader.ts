import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { withCollectionErrors } from "../../prometheus/collection-errors.ts";

/** The metric reader of the push path: metrics are exported even when a callback throws nothing. */
export class PeriodicReader extends PeriodicExportingMetricReader {
  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(withCollectionErrors(producer));
  }
}
