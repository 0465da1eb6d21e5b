import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../../log/thrown-text.ts";
import { fileLog, log } from "../log.ts";
import { withoutSecrets } from "../settings/mod.ts";
import type { Settings } from "../settings/mod.ts";
import type { OtlpProtocol } from "../settings/variables.ts";
import { createMetricExporter, createSpanExporter } from "./exporters.ts";
import type { ExporterOptions } from "./exporters.ts";
import { grpcEndpoint } from "./grpc-endpoint.ts";
import { onNewCertificates } from "./new-certificates.ts";
import type { OtlpFiles } from "./new-certificates.ts";
import { METRICS, ReportingExporter, SPANS } from "./reporting-exporter.ts";
import type { Exporter, Signal } from "./reporting-exporter.ts";

/** An exporter that was started, and its description. */
export interface RunningExporter<T> {
  readonly exporter: ReportingExporter<T>;
  /** Where it exports to and how, in words for a log line; without secrets. */
  readonly endpoint: string;
  /** Longest time of one delivery, in milliseconds. */
  readonly deliveryMs: number;
  /** Stops watching the certificate files. */
  close(): void;
}

/**
 * Starts the exporter of metrics that the environment describes.
 *
 * @param maxDeliveryMs longest time of one delivery, in milliseconds; the environment may set a shorter
 * one for each of its exports
 */
export function startMetricExporter(
  settings: Settings,
  maxDeliveryMs: number,
): Promise<RunningExporter<ResourceMetrics>> {
  const timeoutMs = Math.min(timeoutOf(settings, "METRICS"), maxDeliveryMs);
  // The reader's own limit must not come first: the first export begins before it, others do not.
  const deliveryMs = 0.95 * maxDeliveryMs;
  return start(settings, "METRICS", METRICS, createMetricExporter, timeoutMs, deliveryMs);
}

/** Longest time of one delivery of spans, in milliseconds, unless one export may take longer. */
const SPAN_DELIVERY_MS = 30_000;

/** Starts the exporter of spans that the environment describes. */
export function startSpanExporter(settings: Settings): Promise<RunningExporter<ReadableSpan[]>> {
  const timeoutMs = timeoutOf(settings, "TRACES");
  const deliveryMs = Math.max(timeoutMs, SPAN_DELIVERY_MS);
  return start(settings, "TRACES", SPANS, createSpanExporter, timeoutMs, deliveryMs);
}

type SignalName = "METRICS" | "TRACES";

async function start<T>(
  settings: Settings,
  signalName: SignalName,
  signal: Signal<T>,
  create: (
    protocol: OtlpProtocol,
    timeoutMs: number,
    options: ExporterOptions,
  ) => Promise<Exporter<T>>,
  timeoutMs: number,
  deliveryMs: number,
): Promise<RunningExporter<T>> {
  const protocol = settings[`OTEL_EXPORTER_OTLP_${signalName}_PROTOCOL`] ??
    settings.OTEL_EXPORTER_OTLP_PROTOCOL;
  const endpoint = endpointUrl(settings, signalName, protocol);
  const insecure = settings[`OTEL_EXPORTER_OTLP_${signalName}_INSECURE`] ??
    settings.OTEL_EXPORTER_OTLP_INSECURE;
  const grpc = protocol === "grpc" ? grpcEndpoint(endpoint, insecure) : undefined;
  const headers = {
    ...settings.OTEL_EXPORTER_OTLP_HEADERS,
    ...settings[`OTEL_EXPORTER_OTLP_${signalName}_HEADERS`],
  };
  const createExporter = () => create(protocol, timeoutMs, { headers, grpc });
  const destination = withoutSecrets(grpc?.url ?? endpoint);
  const exporter = new ReportingExporter(
    signal,
    await createExporter(),
    destination,
    timeoutMs,
    log,
    deliveryMs,
  );
  const close = onNewCertificates(certificateFiles(settings, signalName), fileLog, () => {
    createExporter().then((renewed) => exporter.replace(renewed)).catch((error) => {
      log(`telemetry: new certificates are not in use: ${thrownText(error)}`);
    });
  });
  return { exporter, endpoint: `${destination} (${protocol})`, deliveryMs, close };
}

/** Returns the longest time of one export, in milliseconds. */
function timeoutOf(settings: Settings, signalName: SignalName): number {
  return settings[`OTEL_EXPORTER_OTLP_${signalName}_TIMEOUT`] ??
    settings.OTEL_EXPORTER_OTLP_TIMEOUT;
}

/** Returns the endpoint of a signal (OTLP exporter specification); a URL if the protocol is HTTP. */
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
