import { startMetricExporter } from "./otlp/start-exporter.ts";
import type { MetricsOutput } from "./output.ts";
import { exportTimes, PeriodicReader } from "./periodic-reader.ts";
import type { Settings } from "./settings/mod.ts";

/** Starts the push path: metrics go to an OpenTelemetry Collector over OTLP at an interval. */
export async function startPush(settings: Settings): Promise<MetricsOutput> {
  const times = exportTimes(settings);
  // The exporter must give up before the reader does, because it knows the reason.
  const { exporter, endpoint, close } = await startMetricExporter(
    settings,
    times.exportTimeoutMillis,
  );
  return {
    reader: new PeriodicReader({ exporter, ...times }),
    endpoint: `${endpoint}, every ${times.exportIntervalMillis / 1000} s`,
    close,
    undelivered: () => exporter.undelivered(),
  };
}
