/**
 * Telemetry for the Echo scripts: environment variables in, a `MeterProvider` and the gRPC plugin
 * out, which makes traces too if it is told to. Run by itself, `bun run telemetry.ts`, it prints the variables.
 *
 * @module
 */
import { diag } from "@opentelemetry/api";
import type {
  DiagLogger,
  MeterProvider as MeterProviderApi,
  TextMapPropagator,
} from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import { ConsoleMetricExporter, MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricReader, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { TracerProvider } from "@opentelemetry/sdk-trace";
import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { ignoreOutputErrors, withoutOutputErrors } from "./log/output.ts";
import { exposureWarning } from "./telemetry/settings/exposure.ts";
import {
  helpText,
  readSettings,
  StartupError,
  variables,
  withoutSecrets,
} from "./telemetry/settings/mod.ts";
import type { Settings } from "./telemetry/settings/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "./prometheus/mod.ts";
import type { AuthenticationFiles, ScrapeEndpointTls } from "./prometheus/mod.ts";
import {
  observeProcess,
  observeRuntime,
  runtimeResourceAttributes,
  runtimeWarning,
} from "./telemetry/runtime/mod.ts";
import type { OtlpFiles } from "./telemetry/otlp/mod.ts";
import { PeriodicReader } from "./telemetry/otlp/periodic-reader.ts";
import { GrpcOpenTelemetry } from "./plugin/mod.ts";
import { namedThrownText, oneLine, thrownText } from "./log/thrown-text.ts";
import type { FileLog } from "./tls/watched-files.ts";

/** What a script says of itself where the environment is silent. */
export interface TelemetryDefaults {
  /** `service.name` unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one. */
  readonly defaultServiceName: string;
  /** Port of `/metrics` unless `OTEL_EXPORTER_PROMETHEUS_PORT` gives one. */
  readonly defaultPrometheusPort: number;
}

/** Running telemetry. */
export interface Telemetry {
  /** Records the application's own metrics too: `meterProvider.getMeter("my-app")`. */
  readonly meterProvider: MeterProviderApi;
  /** To be installed on channels and servers. */
  readonly plugin: GrpcOpenTelemetry;
  /** Where the metrics can be seen, in words for a log line. */
  readonly endpoint: string;
  /** Where the traces go, in words for a log line; undefined if there are none. */
  readonly tracesEndpoint: string | undefined;
  /**
   * Exports what is left and stops, in `OTEL_METRIC_EXPORT_TIMEOUT` or, if that is not set,
   * {@link SHUTDOWN_MS} milliseconds at most. Says what could not be delivered. Never rejects; may be
   * called again.
   */
  shutdown(): Promise<void>;
}

const SHUTDOWN_MS = 5000;

/**
 * Starts telemetry as the environment says.
 *
 * @throws {StartupError} with a line for every variable that is bad, or for the port that is in
 * use; nothing is left running then.
 */
export async function startTelemetry(defaults: TelemetryDefaults): Promise<Telemetry> {
  const settings = readSettings();
  diag.setLogger(standardErrorLog, {
    logLevel: settings.OTEL_LOG_LEVEL,
    suppressOverrideMessage: true,
  });
  const warning = runtimeWarning();
  if (warning !== undefined) log(warning);

  const exporters = settings.OTEL_SDK_DISABLED ? [] : settings.OTEL_METRICS_EXPORTER;
  const outputs: Output[] = [];
  for (const exporter of exporters) {
    if (exporter === "prometheus") outputs.push(await startPrometheus(settings, defaults));
    if (exporter === "otlp") outputs.push(await startOtlp(settings));
    if (exporter === "console") outputs.push(startConsole(settings));
  }

  const resource = describeService(settings, defaults.defaultServiceName);
  const traces = await startTraces(settings, resource);
  const meterProvider = new MeterProvider({
    resource,
    readers: outputs.map((output) => output.reader),
  });
  if (outputs.length > 0) {
    observeProcess(meterProvider);
    await observeRuntime(meterProvider);
  }

  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    const limitMs = settings.OTEL_METRIC_EXPORT_TIMEOUT ?? SHUTDOWN_MS;
    await within(limitMs, [
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
  return {
    meterProvider,
    plugin: new GrpcOpenTelemetry({
      meterProvider: outputs.length > 0 ? meterProvider : undefined,
      tracerProvider: traces?.tracerProvider,
      textMapPropagator: traces?.textMapPropagator,
    }),
    endpoint: outputs.map((output) => output.endpoint).join(", ") || "nowhere (switched off)",
    tracesEndpoint: traces?.endpoint,
    shutdown: () => stopped ??= stop(),
  };
}

/** One of the places that metrics go to. */
interface Output {
  readonly reader: MetricReader;
  readonly endpoint: string;
  /** Stops what the reader's own shutdown does not. */
  close?(): Promise<void>;
  /** What is lost if the process ends now, as a line for the log. */
  undelivered?(): string | undefined;
}

async function startPrometheus(settings: Settings, defaults: TelemetryDefaults): Promise<Output> {
  const reader = new PrometheusReader();
  const host = settings.OTEL_EXPORTER_PROMETHEUS_HOST;
  const port = settings.OTEL_EXPORTER_PROMETHEUS_PORT ?? defaults.defaultPrometheusPort;
  const authentication = scrapeAuthentication(settings);
  const tls = scrapeTls(settings);
  const warning = exposureWarning(settings);
  if (warning !== undefined) log(warning);
  try {
    const endpoint = await startScrapeEndpoint({
      reader,
      host,
      port,
      tls,
      authentication,
      allowedHosts: settings.GRPC_METRICS_ALLOWED_HOSTS,
    });
    return { reader, endpoint: endpoint.url, close: () => endpoint.close() };
  } catch (error) {
    throw new StartupError(listenFailure(host, port, error as NodeJS.ErrnoException));
  }
}

function scrapeTls(settings: Settings): ScrapeEndpointTls | undefined {
  const { GRPC_METRICS_TLS_CERT, GRPC_METRICS_TLS_KEY, GRPC_METRICS_TLS_CLIENT_CA } = settings;
  if (GRPC_METRICS_TLS_CERT === undefined || GRPC_METRICS_TLS_KEY === undefined) return undefined;
  return {
    certificate: GRPC_METRICS_TLS_CERT,
    key: GRPC_METRICS_TLS_KEY,
    clientCa: GRPC_METRICS_TLS_CLIENT_CA,
  };
}

function scrapeAuthentication(settings: Settings): AuthenticationFiles | undefined {
  const { GRPC_METRICS_BEARER_TOKEN_FILE, GRPC_METRICS_BASIC_AUTH_FILE } = settings;
  const files = { bearerToken: GRPC_METRICS_BEARER_TOKEN_FILE, user: GRPC_METRICS_BASIC_AUTH_FILE };
  return files.bearerToken ?? files.user ? files : undefined;
}

function listenFailure(host: string, port: number, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") {
    return `OTEL_EXPORTER_PROMETHEUS_PORT=${port}: port ${port} of ${host} is in use; ` +
      "set another port, or 0 for any free one";
  }
  return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}, OTEL_EXPORTER_PROMETHEUS_PORT=${port}: ` +
    `cannot listen there: ${error.message}`;
}

async function startOtlp(settings: Settings): Promise<Output> {
  const { createOtlpExporter, onNewCertificates, ReportingExporter } = await loadOtlp();
  const { protocol, destination, timeoutMs: ownTimeoutMs } = otlpTarget(settings, "METRICS");
  const times = exportTimes(settings);
  // The exporter gives up before the reader does: it knows the reason.
  const timeoutMs = Math.min(ownTimeoutMs, times.exportTimeoutMillis);
  const create = () => createOtlpExporter(protocol, timeoutMs);
  const exporter = new ReportingExporter(await create(), destination, timeoutMs, log);
  const forget = onNewCertificates(otlpFiles(settings, "METRICS"), fileLog, () => {
    create().then((renewed) => exporter.replace(renewed)).catch(logRenewalFailure);
  });
  return {
    reader: new PeriodicReader({ exporter, ...times }),
    endpoint: `${destination} (${protocol}), every ${times.exportIntervalMillis / 1000} s`,
    close: () => Promise.resolve(forget()),
    undelivered: () => exporter.undelivered(),
  };
}

/** Loads what pushes only where it is asked for: programs start faster without it. */
function loadOtlp(): Promise<typeof import("./telemetry/otlp/mod.ts")> {
  return import("./telemetry/otlp/mod.ts");
}

function otlpFiles(settings: Settings, signal: "METRICS" | "TRACES"): OtlpFiles {
  const path = (kind: "CERTIFICATE" | "CLIENT_CERTIFICATE" | "CLIENT_KEY") =>
    settings[`OTEL_EXPORTER_OTLP_${signal}_${kind}`] ?? settings[`OTEL_EXPORTER_OTLP_${kind}`];
  return {
    authorities: path("CERTIFICATE"),
    certificate: path("CLIENT_CERTIFICATE"),
    key: path("CLIENT_KEY"),
  };
}

const fileLog: FileLog = { info: log, warn: log };

function logRenewalFailure(error: unknown): void {
  log(`telemetry: new certificates are not in use: ${thrownText(error)}`);
}

/** Where a signal is pushed to, without secrets, how, and how long that may take in milliseconds. */
function otlpTarget(settings: Settings, signal: "METRICS" | "TRACES") {
  const protocol = settings[`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`] ??
    settings.OTEL_EXPORTER_OTLP_PROTOCOL;
  const base = settings.OTEL_EXPORTER_OTLP_ENDPOINT ??
    (protocol === "grpc" ? "http://localhost:4317" : "http://localhost:4318");
  const path = `/v1/${signal.toLowerCase()}`;
  const endpoint = settings[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`] ??
    (protocol === "grpc" ? base : `${base.replace(/\/$/, "")}${path}`);
  return {
    protocol,
    destination: withoutSecrets(endpoint),
    timeoutMs: settings[`OTEL_EXPORTER_OTLP_${signal}_TIMEOUT`] ??
      settings.OTEL_EXPORTER_OTLP_TIMEOUT,
  };
}

/** What makes traces, and tells others of them. */
interface Traces {
  readonly tracerProvider: TracerProvider;
  readonly textMapPropagator: TextMapPropagator;
  readonly endpoint: string;
  close(): Promise<void>;
  undelivered(): string | undefined;
}

async function startTraces(settings: Settings, resource: Resource): Promise<Traces | undefined> {
  const exporters = settings.OTEL_TRACES_EXPORTER;
  if (settings.OTEL_SDK_DISABLED || exporters.includes("none")) return undefined;
  // Loaded only when it is asked for: programs start faster without it.
  const { createPropagator, createTracerProvider } = await import("./telemetry/tracing/mod.ts");
  const { createOtlpSpanExporter, onNewCertificates, ReportingSpanExporter } = await loadOtlp();
  const { protocol, destination, timeoutMs } = otlpTarget(settings, "TRACES");
  const create = () => createOtlpSpanExporter(protocol, timeoutMs);
  const exporter = exporters.includes("otlp")
    ? new ReportingSpanExporter(await create(), destination, timeoutMs, log)
    : undefined;
  const forget = exporter && onNewCertificates(otlpFiles(settings, "TRACES"), fileLog, () => {
    create().then((renewed) => exporter.replace(renewed)).catch(logRenewalFailure);
  });
  const toConsole = exporters.includes("console");
  const tracerProvider = createTracerProvider({
    resource,
    sampler: settings.OTEL_TRACES_SAMPLER,
    ratio: settings.OTEL_TRACES_SAMPLER_ARG,
    exporter,
    toConsole,
  });
  return {
    tracerProvider,
    textMapPropagator: createPropagator(settings.OTEL_PROPAGATORS),
    endpoint: [exporter && `${destination} (${protocol})`, toConsole && "standard output"]
      .filter(Boolean).join(", "),
    close: () => Promise.resolve(forget?.()),
    undelivered: () => exporter?.undelivered(),
  };
}

/** Prints metrics; what cannot be printed is lost. */
class MetricPrinter extends ConsoleMetricExporter {
  override export(
    metrics: ResourceMetrics,
    done: Parameters<ConsoleMetricExporter["export"]>[1],
  ): void {
    withoutOutputErrors(process.stdout, () => super.export(metrics, () => {}));
    done({ code: ExportResultCode.SUCCESS });
  }
}

function startConsole(settings: Settings): Output {
  const times = exportTimes(settings);
  return {
    reader: new PeriodicReader({ exporter: new MetricPrinter(), ...times }),
    endpoint: `standard output, every ${times.exportIntervalMillis / 1000} s`,
  };
}

/** In milliseconds; the SDK refuses a timeout that is longer than the interval. */
function exportTimes(settings: Settings) {
  const exportIntervalMillis = settings.OTEL_METRIC_EXPORT_INTERVAL;
  const exportTimeoutMillis = settings.OTEL_METRIC_EXPORT_TIMEOUT ??
    Math.min(30_000, exportIntervalMillis);
  return { exportIntervalMillis, exportTimeoutMillis };
}

/**
 * Every process has an instance id of its own: without one, two processes behind one Collector
 * overwrite each other's series.
 */
function describeService(settings: Settings, defaultServiceName: string): Resource {
  const { OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES } = settings;
  return defaultResource().merge(resourceFromAttributes({
    "service.name": defaultServiceName,
    "service.instance.id": randomUUID(),
    ...runtimeResourceAttributes(),
    ...OTEL_RESOURCE_ATTRIBUTES,
    ...(OTEL_SERVICE_NAME !== undefined && { "service.name": OTEL_SERVICE_NAME }),
  }));
}

/**
 * Does all of the work, for no longer than the limit. What fails is logged, and leaves the rest of
 * the work alone.
 */
async function within(
  limitMs: number,
  work: readonly (() => Promise<void> | undefined)[],
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => timer = setTimeout(resolve, limitMs));
  const done = work.map(async (step) => {
    try {
      await step();
    } catch (error) {
      diag.error("Shutdown failed:", error);
    }
  });
  await Promise.race([Promise.allSettled(done), limit]);
  clearTimeout(timer);
}

/** Prints each message in one line, whatever is in it, and never throws. */
const standardErrorLog: DiagLogger = {
  error: (...message) => log("OpenTelemetry error:", ...message.map(logText)),
  warn: (...message) => log("OpenTelemetry warning:", ...message.map(logText)),
  info: (...message) => log("OpenTelemetry:", ...message.map(logText)),
  debug: (...message) => log("OpenTelemetry debug:", ...message.map(logText)),
  verbose: (...message) => log("OpenTelemetry verbose:", ...message.map(logText)),
};

/** In UTF-16 code units. */
const MAX_LOG_TEXT = 2000;

/** The text of one part of a message: others may have chosen it, or it may be their error. */
function logText(part: unknown): string {
  if (typeof part === "string") return oneLine(part, MAX_LOG_TEXT);
  try {
    if (part instanceof Error || part instanceof Promise) return namedThrownText(part);
    return oneLine(inspect(part, { breakLength: Infinity }), MAX_LOG_TEXT);
  } catch {
    return thrownText(part);
  }
}

/** Prints on standard error, as long as it can be written to. */
function log(...message: unknown[]): void {
  withoutOutputErrors(process.stderr, () => console.error(...message));
}

if (import.meta.main) {
  ignoreOutputErrors();
  console.log(helpText(variables));
}
