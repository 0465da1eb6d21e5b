import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { OtlpProtocol } from "../settings/variables.ts";
import { withAnswers } from "./answers.ts";

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
      return withAnswers(new JsonExporter(options), true);
    case "http/protobuf": {
      const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-proto");
      return withAnswers(new OTLPMetricExporter(options), false);
    }
    case "grpc": {
      const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-grpc");
      return withAnswers(new OTLPMetricExporter(options), false);
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
      return withAnswers(new OTLPTraceExporter(options), true);
    }
    case "http/protobuf": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
      return withAnswers(new OTLPTraceExporter(options), false);
    }
    case "grpc": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
      return withAnswers(new OTLPTraceExporter(options), false);
    }
  }
}
