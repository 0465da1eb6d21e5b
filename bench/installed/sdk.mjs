/**
 * Loads the OpenTelemetry SDK and starts its own endpoint for Prometheus, and nothing else. The port
 * cannot be 0, which the exporter takes for its default.
 *
 * @module
 */
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";

const host = "127.0.0.1";
const port = Number(process.env.OTEL_EXPORTER_PROMETHEUS_PORT);
const reader = new PrometheusExporter({ host, port, preventServerStart: true });
await reader.startServer();
new MeterProvider({ readers: [reader] });
