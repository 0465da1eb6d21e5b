/**
 * The push path: OTLP to an OpenTelemetry Collector, cumulative, with failures told in plain lines.
 *
 * @module
 */
export { onNewCertificates } from "./new-certificates.ts";
export type { OtlpFiles } from "./new-certificates.ts";
export { createOtlpExporter, createOtlpSpanExporter } from "./exporter.ts";
export { ReportingExporter } from "./reporting-exporter.ts";
export { ReportingSpanExporter } from "./reporting-span-exporter.ts";
