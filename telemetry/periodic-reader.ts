import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { withCollectionErrors } from "../prometheus/collection-errors.ts";
import type { Settings } from "./settings/mod.ts";

/**
 * A metric reader that exports at an interval, also when a callback throws. If a callback throws
 * `undefined`, the SDK's own reader fails and exports no metric.
 */
export class PeriodicReader extends PeriodicExportingMetricReader {
  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(withCollectionErrors(producer));
  }
}

/** Returns the reader's times in milliseconds. The SDK refuses a timeout longer than the interval. */
export function exportTimes(settings: Settings) {
  const exportIntervalMillis = settings.OTEL_METRIC_EXPORT_INTERVAL;
  const exportTimeoutMillis = settings.OTEL_METRIC_EXPORT_TIMEOUT ??
    Math.min(30_000, exportIntervalMillis);
  return { exportIntervalMillis, exportTimeoutMillis };
}
