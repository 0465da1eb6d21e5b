import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { OtlpProtocol } from "../settings/variables.ts";

/**
 * Creates the exporter of metrics for a protocol. Endpoint, headers, compression and TLS files it reads from
 * the `OTEL_EXPORTER_OTLP_*` variables itself.
 *
 * Temporality is always cumulative: what an outage delays is made up for by the next export, and
 * Prometheus takes nothing else.
 *
 * @param timeoutMillis How long one export may take, its retries included.
 */
export async function createOtlpExporter(
  protocol: OtlpProtocol,
  timeoutMillis: number,
): Promise<OTLPMetricExporterBase> {
  // Each is loaded only when it is asked for: the gRPC one alone costs a noticeable part of start-up.
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
 * Creates the exporter of spans for a protocol. Endpoint, headers, compression and TLS files it reads
 * from the `OTEL_EXPORTER_OTLP_*` variables itself.
 *
 * @param timeoutMillis How long one export may take, its retries included.
 */
export async function createOtlpSpanExporter(
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
