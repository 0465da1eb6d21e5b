/**
 * Telemetry for the Echo scripts: it reads the environment and starts a `MeterProvider`, the gRPC
 * plugin and, if asked to, traces. `bun run telemetry.ts` prints the variables.
 *
 * @module
 */
import { diag } from "@opentelemetry/api";
import type { MeterProvider as MeterProviderApi } from "@opentelemetry/api";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { ignoreOutputErrors } from "./log/output.ts";
import { GrpcOpenTelemetry } from "./plugin/mod.ts";
import { startConsole } from "./telemetry/console.ts";
import { diagLog, log } from "./telemetry/log.ts";
import type { MetricsOutput } from "./telemetry/output.ts";
import { methodFilterOf } from "./telemetry/plugin-settings.ts";
import { startPull } from "./telemetry/pull.ts";
import { createResource } from "./telemetry/resource.ts";
import { observeProcess, observeRuntime, runtimeWarning } from "./telemetry/runtime/mod.ts";
import { helpText, readSettings, variables } from "./telemetry/settings/mod.ts";
import type { Settings } from "./telemetry/settings/mod.ts";
import { viewsOf } from "./telemetry/views.ts";

/** What a script uses where the environment sets nothing. */
export interface TelemetryDefaults {
  /** `service.name` unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one. */
  readonly defaultServiceName: string;
  /** Port of `/metrics` unless `OTEL_EXPORTER_PROMETHEUS_PORT` gives one. */
  readonly defaultPrometheusPort: number;
  /** Whether `/metrics` has any free port if its port is in use. Defaults to false. */
  readonly anyPortIfInUse?: boolean;
  /** Called with each exporter's failure to start; the others go on. By default, the first throws. */
  readonly onExporterFailure?: (failure: Error) => void;
}

/** Running telemetry. */
export interface Telemetry {
  /** Records the application's own metrics too: `meterProvider.getMeter("my-app")`. */
  readonly meterProvider: MeterProviderApi;
  /** The gRPC plugin, to install on channels and servers. */
  readonly plugin: GrpcOpenTelemetry;
  /** Where the metrics can be seen, in words for a log line. */
  readonly endpoint: string;
  /** Where the traces go, in words for a log line; undefined if there are none. */
  readonly tracesEndpoint: string | undefined;
  /**
   * Exports what is left and stops, within `OTEL_METRIC_EXPORT_TIMEOUT` or, if that is not set,
   * within 5000 milliseconds. Reports what could not be delivered. Never rejects, and may be called
   * again.
   */
  shutdown(): Promise<void>;
}

const SHUTDOWN_MS = 5000;

/**
 * Starts the telemetry that the environment describes.
 *
 * @throws {StartupError} with a line for every bad variable, or for a port that is in use; nothing
 * keeps running then
 */
export async function startTelemetry(defaults: TelemetryDefaults): Promise<Telemetry> {
  const settings = readSettings();
  diag.setLogger(diagLog, { logLevel: settings.OTEL_LOG_LEVEL, suppressOverrideMessage: true });
  const warning = runtimeWarning();
  if (warning !== undefined) log(warning);

  const outputs: MetricsOutput[] = [];
  const started = <T>(output: Promise<T>): Promise<T | undefined> =>
    output.catch((failure) => {
      if (defaults.onExporterFailure === undefined) throw failure;
      defaults.onExporterFailure(failure);
      return undefined;
    });
  for (const exporter of settings.OTEL_SDK_DISABLED ? [] : settings.OTEL_METRICS_EXPORTER) {
    const output = await started(startOutput(exporter, settings, defaults));
    if (output !== undefined) outputs.push(output);
  }

  const resource = createResource(settings, defaults.defaultServiceName);
  const withTraces = !settings.OTEL_SDK_DISABLED && !settings.OTEL_TRACES_EXPORTER.includes("none");
  const traces = withTraces
    ? await started((await import("./telemetry/traces.ts")).startTraces(settings, resource))
    : undefined;
  const readers = outputs.map((output) => output.reader);
  const views = viewsOf(settings);
  const meterProvider = new MeterProvider({ resource, readers, views });
  if (outputs.length > 0) {
    observeProcess(meterProvider);
    await observeRuntime(meterProvider);
  }

  async function stop(): Promise<void> {
    await withinLimit(settings.OTEL_METRIC_EXPORT_TIMEOUT ?? SHUTDOWN_MS, [
      () => meterProvider.shutdown(),
      () => traces?.tracerProvider.shutdown(),
      () => traces?.close(),
      ...outputs.map((output) => () => output.close?.()),
    ]);
    for (const output of [...outputs, traces]) {
      const undelivered = output?.undelivered?.();
      if (undelivered !== undefined) log(undelivered);
    }
  }
  let stopped: Promise<void> | undefined;
  return {
    meterProvider,
    plugin: new GrpcOpenTelemetry({
      meterProvider: outputs.length > 0 ? meterProvider : undefined,
      tracerProvider: traces?.tracerProvider,
      textMapPropagator: traces?.textMapPropagator,
      enableMetrics: settings.GRPC_METRICS_ENABLED,
      optionalLabels: settings.GRPC_METRICS_OPTIONAL_LABELS,
      methodFilter: methodFilterOf(settings.GRPC_METRICS_EXCLUDED_METHODS),
    }),
    endpoint: outputs.map((output) => output.endpoint).join(", ") || "nowhere (switched off)",
    tracesEndpoint: traces?.endpoint,
    shutdown: () => stopped ??= stop(),
  };
}

/** Starts one exporter of metrics. */
async function startOutput(
  exporter: Settings["OTEL_METRICS_EXPORTER"][number],
  settings: Settings,
  { defaultPrometheusPort, anyPortIfInUse = false }: TelemetryDefaults,
): Promise<MetricsOutput | undefined> {
  switch (exporter) {
    case "prometheus": // Pull: Prometheus scrapes /metrics.
      return await startPull(settings, defaultPrometheusPort, anyPortIfInUse);
    case "otlp": // Push: a Collector receives OTLP. Loaded only here: other programs start faster.
      return await (await import("./telemetry/push.ts")).startPush(settings);
    case "console":
      return startConsole(settings);
    case "none":
      return undefined;
  }
}

/** Runs all steps at once, for `limitMs` milliseconds at most. A step that fails is logged. */
async function withinLimit(
  limitMs: number,
  steps: readonly (() => Promise<void> | void)[],
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => timer = setTimeout(resolve, limitMs));
  const done = steps.map(async (step) => {
    try {
      await step();
    } catch (error) {
      diag.error("Shutdown failed:", error);
    }
  });
  await Promise.race([Promise.allSettled(done), limit]);
  clearTimeout(timer);
}

// In a bundle every module is the main one, but none is this file.
if (import.meta.main && import.meta.url.endsWith("/telemetry.ts")) {
  ignoreOutputErrors();
  console.log(helpText(variables));
}
