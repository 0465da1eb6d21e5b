import { AggregationType } from "@opentelemetry/sdk-metrics";
import type { AggregationOption, ViewOptions } from "@opentelemetry/sdk-metrics";
import { openTelemetryViews } from "../plugin/mod.ts";
import type { Settings } from "./settings/mod.ts";

/** The durations that exist in gRPC only, as patterns for views. */
const OWN_DURATIONS = [
  "grpc.client.attempt.*",
  "grpc.client.call.delay.*",
  "grpc.client.call.retry_delay",
];
/** The durations that OpenTelemetry has another name for. */
const CALL_DURATIONS = ["grpc.client.call.duration", "grpc.server.call.duration"];

/** With the default options of the specification. */
const EXPONENTIAL: AggregationOption = {
  type: AggregationType.EXPONENTIAL_HISTOGRAM,
  options: { maxSize: 160, recordMinMax: true },
};

/** Returns the views that the environment asks for. They apply to all exporters of a process. */
export function viewsOf(settings: Settings): ViewOptions[] {
  const names = settings.OTEL_SEMCONV_STABILITY_OPT_IN;
  // `rpc/dup` comes before `rpc` (OpenTelemetry conventions for RPC).
  const keep = names.includes("rpc/dup");
  const isRenamed = keep || names.includes("rpc");
  if (!hasExponentialHistograms(settings)) return isRenamed ? openTelemetryViews({ keep }) : [];

  const renamed = isRenamed ? openTelemetryViews() : [];
  const kept = isRenamed && !keep ? OWN_DURATIONS : [...OWN_DURATIONS, ...CALL_DURATIONS];
  return [
    ...renamed.map((view) => ({ ...view, aggregation: EXPONENTIAL })),
    ...kept.map((instrumentName) => ({
      instrumentName,
      instrumentUnit: "s",
      aggregation: EXPONENTIAL,
    })),
  ];
}

/**
 * Returns whether the durations of calls are exponential histograms. Prometheus stores them as native
 * histograms.
 *
 * Histograms of sizes keep their buckets. In the SDK (3.1), an interval with nothing but zeros, such
 * as the sizes of empty messages, lowers the resolution of an exponential histogram for good.
 */
function hasExponentialHistograms(settings: Settings): boolean {
  const exporters = settings.OTEL_METRICS_EXPORTER;
  const isPulled = exporters.includes("prometheus") && settings.GRPC_METRICS_NATIVE_HISTOGRAMS;
  const isPushed = exporters.includes("otlp") &&
    settings.OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION ===
      "base2_exponential_bucket_histogram";
  return isPulled || isPushed;
}
