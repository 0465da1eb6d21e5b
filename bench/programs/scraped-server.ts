/**
 * An Echo server with the plugin and 1,000 additional label sets: `scraped-server.ts ours|stock`.
 * Other processes scrape it. It measures how long its event loop stalls.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { freePorts } from "../../stack/ports.ts";
import { answerCommands, cpuMicroseconds } from "./commands.ts";
import { addEchoService, ECHO, listen } from "./echo.ts";
import { ATTRIBUTES, HISTOGRAM, sampleSeconds } from "./scraped-histogram.ts";
import { StallProbe } from "./stall-probe.ts";

const HOST = "127.0.0.1";

async function startOurs(): Promise<[MetricReader, string]> {
  const reader = new PrometheusReader();
  const { url } = await startScrapeEndpoint({ reader, host: HOST, port: 0 });
  return [reader, url];
}

async function startStock(): Promise<[MetricReader, string]> {
  const { port } = await freePorts({ port: 0 });
  const exporter = new PrometheusExporter({ host: HOST, port, preventServerStart: true });
  await exporter.startServer();
  return [exporter, `http://${HOST}:${port}/metrics`];
}

const [reader, url] = await (process.argv[2] === "stock" ? startStock() : startOurs());
const meterProvider = new MeterProvider({ readers: [reader] });
const histogram = meterProvider.getMeter("bench").createHistogram(HISTOGRAM.name, HISTOGRAM);
ATTRIBUTES.forEach((labels, i) => histogram.record(sampleSeconds(i), labels));

const server = new GrpcOpenTelemetry({ meterProvider }).instrumentServer(new grpc.Server());
addEchoService(server, ECHO);
const port = await listen(grpc, server);

const probe = new StallProbe();
answerCommands({ port, url }, {
  cpu: cpuMicroseconds,
  collect: () => (globalThis as { gc?: () => void }).gc?.(),
  watch: () => probe.reset(),
  stall: () => probe.longestMs(),
});
