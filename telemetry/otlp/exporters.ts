import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { OtlpProtocol } from "../settings/variables.ts";
import { withAnswers } from "./answers.ts";
import type { GrpcEndpoint } from "./grpc-endpoint.ts";

// Each exporter is loaded only when it is used: the gRPC one alone slows start-up noticeably. They
// read the URL, compression and TLS files from the `OTEL_EXPORTER_OTLP_*` variables.

/** What the stock exporters read from the environment in another way than this program. */
export interface ExporterOptions {
  /** The headers of each export. The exporters cut values at a semicolon. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The endpoint for gRPC. */
  readonly grpc?: GrpcEndpoint | undefined;
}

/**
 * Creates the stock exporter of metrics for a protocol.
 *
 * Temporality is always cumulative: the next export makes up for what an outage delays, and
 * Prometheus accepts nothing else.
 *
 * @param timeoutMillis longest time of one export, retries included
 * @param options take the place of variables
 */
export async function createMetricExporter(
  protocol: OtlpProtocol,
  timeoutMillis: number,
  { headers = {}, grpc }: ExporterOptions = {},
): Promise<OTLPMetricExporterBase> {
  const { AggregationTemporalityPreference, OTLPMetricExporter: JsonExporter } = await import(
    "@opentelemetry/exporter-metrics-otlp-http"
  );
  const options = {
    timeoutMillis,
    headers,
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
      return withAnswers(
        new OTLPMetricExporter({ ...options, ...await grpcOptions(headers, grpc) }),
        false,
      );
    }
  }
}

/**
 * Creates the stock exporter of spans for a protocol.
 *
 * @param timeoutMillis longest time of one export, retries included
 * @param options take the place of variables
 */
export async function createSpanExporter(
  protocol: OtlpProtocol,
  timeoutMillis: number,
  { headers = {}, grpc }: ExporterOptions = {},
): Promise<SpanExporter> {
  const options = { timeoutMillis, headers };
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
      return withAnswers(
        new OTLPTraceExporter({ ...options, ...await grpcOptions(headers, grpc) }),
        false,
      );
    }
  }
}

/** Returns the options that the stock exporters have only for gRPC. */
async function grpcOptions(
  headers: Readonly<Record<string, string>>,
  endpoint: GrpcEndpoint | undefined,
) {
  const { credentials, Metadata } = await import("@grpc/grpc-js");
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return {
    metadata,
    ...(endpoint && { url: endpoint.url }),
    ...(endpoint?.isPlain && { credentials: credentials.createInsecure() }),
  };
}
