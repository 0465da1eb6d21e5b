// An application whose back end knows OpenTelemetry's names, and that leaves a method out.
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { GrpcOpenTelemetry, openTelemetryViews } from "grpc-js-opentelemetry";
import { main } from "./plain/app.mjs";

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() });
const readers = [reader];
const meterProvider = new MeterProvider({ readers, views: openTelemetryViews({ keep: true }) });
const otel = new GrpcOpenTelemetry({
  meterProvider,
  methodFilter: (method) => !method.endsWith("/BidirectionalStreamingEcho"),
  publicEndpoint: true,
});

async function instrumented() {
  await main({
    onServer: (server) => otel.instrumentServer(server),
    channelOptions: otel.clientOptions(),
  });
  await meterProvider.shutdown();
}

instrumented();
