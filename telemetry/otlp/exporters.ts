import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { OtlpProtocol } from "../settings/variables.ts";

// Each exporter is loaded only when it is used: the gRPC one alone slows start-up noticeably. They
// read endpoint, headers, compression and TLS files from the `OTEL_EXPORTER_OTLP_*` variables.

/**
 * Creates the stock exporter of metrics for a protocol.
 *
 * Temporality is always cumulative: the next export makes up for what an outage delays, and
 * Prometheus accepts nothing else.
 *
 * @param timeoutMillis longest time of one export, retries included
 */
export async function createMetricExporter(
  protocol: OtlpProtocol,
  timeoutMillis: number,
): Promise<OTLPMetricExporterBase> {
  const { AggregationTemporalityPreference, OTLPMetricExporter: JsonExporter } = await import(
    "@opentelemetry/exporter-metrics-otlp-http"
  );
  const options = {
    timeoutMillis,
    temporalityPreference: AggregationTemporalityPreference.CUMULATIVE,
  };
  switch (protocol) {
    case "http/json":
      return new JsonExporter(options);
    case "http/protobuf": {
      const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-proto");
      return new OTLPMetricExporter(options);
    }
    case "grpc": {
      const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-grpc");
      return new OTLPMetricExporter(options);
    }
  }
}

/**
 * Creates the stock exporter of spans for a protocol.
 *
 * @param timeoutMillis longest time of one export, retries included
 */
export async function createSpanExporter(
  protocol: OtlpProtocol,
  timeoutMillis: number,
): Promise<SpanExporter> {
  const options = { timeoutMillis };
  switch (protocol) {
    case "http/json": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
      return new OTLPTraceExporter(options);
    }
    case "http/protobuf": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
      return new OTLPTraceExporter(options);
    }
    case "grpc": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
      return new OTLPTraceExporter(options);
    }
  }
}
