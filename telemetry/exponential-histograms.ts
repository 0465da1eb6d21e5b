import { AggregationType, InstrumentType } from "@opentelemetry/sdk-metrics";
import type { ViewOptions } from "@opentelemetry/sdk-metrics";
import type { Settings } from "./settings/mod.ts";

/**
 * Returns the views that make histograms of seconds exponential, if the environment asks for that.
 * Prometheus stores them as native histograms. Views apply to all exporters of a process.
 *
 * Histograms of sizes keep their buckets. In the SDK (3.1), an interval with nothing but zeros, such
 * as the sizes of empty messages, lowers the resolution of an exponential histogram for good.
 */
export function exponentialHistograms(settings: Settings): ViewOptions[] {
  const exporters = settings.OTEL_METRICS_EXPORTER;
  const isPulled = exporters.includes("prometheus") && settings.GRPC_METRICS_NATIVE_HISTOGRAMS;
  const isPushed = exporters.includes("otlp") &&
    settings.OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION ===
      "base2_exponential_bucket_histogram";
  if (!isPulled && !isPushed) return [];
  return [{
    instrumentType: InstrumentType.HISTOGRAM,
    instrumentUnit: "s",
    // The default options of the specification.
    aggregation: {
      type: AggregationType.EXPONENTIAL_HISTOGRAM,
      options: { maxSize: 160, recordMinMax: true },
    },
  }];
}
