// The application's own SDK: it owns the provider, its readers and its views.
import { metrics } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  AggregationType,
  createDenyListAttributesProcessor,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { PrometheusReader, renderPrometheusText } from "grpc-js-opentelemetry/prometheus";
import { main } from "../plain/app.mjs";

const reader = new PrometheusReader();
const sdk = new NodeSDK({
  metricReaders: [
    new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() }),
    reader,
  ],
  views: [
    {
      instrumentName: "grpc.client.*",
      attributesProcessors: [createDenyListAttributesProcessor(["grpc.target"])],
    },
    {
      instrumentName: "grpc.server.call.duration",
      aggregation: {
        type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
        options: { boundaries: [0.5, 60] },
      },
    },
  ],
});
sdk.start();
const otel = new GrpcOpenTelemetry({ meterProvider: metrics.getMeterProvider() });

await main({
  onServer: (server) => otel.instrumentServer(server),
  channelOptions: otel.clientOptions(),
});
console.log(renderPrometheusText(await reader.collect()));
await sdk.shutdown();
