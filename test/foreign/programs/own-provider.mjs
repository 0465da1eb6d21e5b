// An application that has a meter provider of its own.
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { main } from "./plain/app.mjs";
import { countSearches } from "./searches.mjs";

/** A view that leaves labels as they are. */
const view = {
  instrumentName: "grpc.*.duration",
  aggregation: {
    type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
    options: { boundaries: [0.5, 60] },
  },
};

async function instrumented() {
  const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() });
  const provider = new MeterProvider({ readers: [reader], views: [view] });
  const { meterProvider, searches } = countSearches(provider);
  const otel = new GrpcOpenTelemetry({ meterProvider });
  await main({
    onServer: (server) => otel.instrumentServer(server),
    channelOptions: otel.clientOptions(),
  });
  await provider.shutdown();
  console.log(`Searches: ${searches()}`);
}

instrumented();
