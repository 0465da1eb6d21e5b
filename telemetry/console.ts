import { ExportResultCode } from "@opentelemetry/core";
import { ConsoleMetricExporter } from "@opentelemetry/sdk-metrics";
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { withoutOutputErrors } from "../log/output.ts";
import type { MetricsOutput } from "./output.ts";
import { exportTimes, PeriodicReader } from "./periodic-reader.ts";
import type { Settings } from "./settings/mod.ts";

/** Starts printing metrics on standard output at an interval. */
export function startConsole(settings: Settings): MetricsOutput {
  const times = exportTimes(settings);
  return {
    reader: new PeriodicReader({ exporter: new MetricPrinter(), ...times }),
    endpoint: `standard output, every ${times.exportIntervalMillis / 1000} s`,
  };
}

/** Prints metrics; they are lost if standard output cannot be written to. */
class MetricPrinter extends ConsoleMetricExporter {
  override export(
    metrics: ResourceMetrics,
    done: Parameters<PushMetricExporter["export"]>[1],
  ): void {
    withoutOutputErrors(process.stdout, () => super.export(metrics, () => {}));
    done({ code: ExportResultCode.SUCCESS });
  }
}
