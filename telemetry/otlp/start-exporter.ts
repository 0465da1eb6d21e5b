import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../../log/thrown-text.ts";
import { fileLog, log } from "../log.ts";
import { withoutSecrets } from "../settings/mod.ts";
import type { Settings } from "../settings/mod.ts";
import type { OtlpProtocol } from "../settings/variables.ts";
import { createMetricExporter, createSpanExporter } from "./exporters.ts";
import { onNewCertificates } from "./new-certificates.ts";
import type { OtlpFiles } from "./new-certificates.ts";
import { METRICS, ReportingExporter, SPANS } from "./reporting-exporter.ts";
import type { Exporter, Signal } from "./reporting-exporter.ts";

/** An exporter that was started, and its description. */
export interface RunningExporter<T> {
  readonly exporter: ReportingExporter<T>;
  /** Where it exports to and how, in words for a log line; without secrets. */
  readonly endpoint: string;
  /** Stops watching the certificate files. */
  close(): void;
}

/**
 * Starts the exporter of metrics that the environment describes.
 *
 * @param maxTimeoutMs longest time of one export, in milliseconds; the environment may set a shorter
 * one
 */
export function startMetricExporter(
  settings: Settings,
  maxTimeoutMs: number,
): Promise<RunningExporter<ResourceMetrics>> {
  return start(settings, "METRICS", METRICS, createMetricExporter, maxTimeoutMs);
}

/** Starts the exporter of spans that the environment describes. */
export function startSpanExporter(settings: Settings): Promise<RunningExporter<ReadableSpan[]>> {
  return start(settings, "TRACES", SPANS, createSpanExporter, Infinity);
}

type SignalName = "METRICS" | "TRACES";

async function start<T>(
  settings: Settings,
  signalName: SignalName,
  signal: Signal<T>,
  create: (protocol: OtlpProtocol, timeoutMs: number) => Promise<Exporter<T>>,
  maxTimeoutMs: number,
): Promise<RunningExporter<T>> {
  const protocol = settings[`OTEL_EXPORTER_OTLP_${signalName}_PROTOCOL`] ??
    settings.OTEL_EXPORTER_OTLP_PROTOCOL;
  const timeoutMs = Math.min(
    settings[`OTEL_EXPORTER_OTLP_${signalName}_TIMEOUT`] ?? settings.OTEL_EXPORTER_OTLP_TIMEOUT,
    maxTimeoutMs,
  );
  const destination = withoutSecrets(endpointUrl(settings, signalName, protocol));
  const exporter = new ReportingExporter(
    signal,
    await create(protocol, timeoutMs),
    destination,
    timeoutMs,
    log,
  );
  const close = onNewCertificates(certificateFiles(settings, signalName), fileLog, () => {
    create(protocol, timeoutMs).then((renewed) => exporter.replace(renewed)).catch((error) => {
      log(`telemetry: new certificates are not in use: ${thrownText(error)}`);
    });
  });
  return { exporter, endpoint: `${destination} (${protocol})`, close };
}

/** Returns the URL that the stock exporter uses (OTLP exporter specification). */
function endpointUrl(settings: Settings, signalName: SignalName, protocol: OtlpProtocol): string {
  const own = settings[`OTEL_EXPORTER_OTLP_${signalName}_ENDPOINT`];
  if (own !== undefined) return own;
  const base = settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (protocol === "grpc") return base ?? "http://localhost:4317";
  return `${(base ?? "http://localhost:4318").replace(/\/$/, "")}/v1/${signalName.toLowerCase()}`;
}

function certificateFiles(settings: Settings, signalName: SignalName): OtlpFiles {
  const path = (kind: "CERTIFICATE" | "CLIENT_CERTIFICATE" | "CLIENT_KEY") =>
    settings[`OTEL_EXPORTER_OTLP_${signalName}_${kind}`] ?? settings[`OTEL_EXPORTER_OTLP_${kind}`];
  return {
    authorities: path("CERTIFICATE"),
    certificate: path("CLIENT_CERTIFICATE"),
    key: path("CLIENT_KEY"),
  };
}
