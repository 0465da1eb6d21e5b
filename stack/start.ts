import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { collectorEnvironment } from "./collector/environment.ts";
import { freePorts } from "./ports.ts";
import { prometheusCommand } from "./prometheus-command.ts";
import { prometheusConfig } from "./prometheus-config.ts";
import type { Service } from "./service.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const LOOPBACK = "127.0.0.1";

/** The port that each part is expected at, if that is free. */
const STANDARD_PORTS = {
  echo: 50051,
  serverMetrics: 9464,
  clientMetrics: 9465,
  otlpGrpc: 4317,
  otlpHttp: 4318,
  collectorMetrics: 8889,
  collectorTelemetry: 8888,
  collectorHealth: 13133,
  prometheus: 9090,
};
type Ports = Record<keyof typeof STANDARD_PORTS, number>;

/** What the parts of a stack are started with. */
export interface StackOptions {
  /** Path of the Collector; without one the scripts are scraped directly. */
  readonly collector: string | undefined;
  /** A folder for what lasts as long as the stack. */
  readonly folder: string;
  /** Starts a part and keeps it. */
  readonly launch: (
    name: string,
    command: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ) => Service;
}

/** Where a running stack can be seen. */
export interface StackUrls {
  readonly prometheus: string;
  /** The metrics of the scripts: their own pages, or the Collector's. */
  readonly metrics: readonly string[];
}

/**
 * Starts the parts one after the other, each when the one before is healthy: what receives metrics
 * comes before what sends them.
 *
 * @throws {Error} when a part does not become healthy.
 */
export async function startStack(options: StackOptions): Promise<StackUrls> {
  const { collector, launch } = options;
  const ports = await freePorts(STANDARD_PORTS);

  if (collector !== undefined) await startCollector(collector, ports, launch);
  const prometheus = await startPrometheus(ports, options);

  const server = startScript("server", ["bun", "run", "server.ts"], ports, options);
  const serverMetrics = await metricsOf(server, options);
  const client = startScript(
    "client",
    ["deno", "run", "-A", "--quiet", "client.ts"],
    ports,
    options,
  );
  const clientMetrics = await metricsOf(client, options);
  return {
    prometheus,
    metrics: collector
      ? [`http://${LOOPBACK}:${ports.collectorMetrics}/metrics`]
      : [serverMetrics, clientMetrics],
  };
}

async function startCollector(
  binary: string,
  ports: Ports,
  launch: StackOptions["launch"],
): Promise<void> {
  const service = launch("collector", [binary, "--config", "otel-collector.yaml"], {
    ...collectorEnvironment({
      http: ports.otlpHttp,
      grpc: ports.otlpGrpc,
      prometheus: ports.collectorMetrics,
      health: ports.collectorHealth,
      telemetry: ports.collectorTelemetry,
    }),
    COLLECTOR_LOG_LEVEL: process.env["COLLECTOR_LOG_LEVEL"] || "warn",
  });
  await service.answers(`http://${LOOPBACK}:${ports.collectorHealth}/`);
}

async function startPrometheus(
  ports: Ports,
  { collector, folder, launch }: StackOptions,
): Promise<string> {
  const jobs = collector
    ? { collector: ports.collectorMetrics, "collector-telemetry": ports.collectorTelemetry }
    : { "echo-server": ports.serverMetrics, "echo-client": ports.clientMetrics };
  const targets = Object.entries({ prometheus: ports.prometheus, ...jobs })
    .map(([job, port]) => [job, `${LOOPBACK}:${port}`]);
  const text = await readFile(join(PROJECT, "prometheus.yml"), "utf8");
  const config = join(folder, "prometheus.yml");
  await writeFile(config, prometheusConfig(text, Object.fromEntries(targets), PROJECT));
  const data = join(folder, "data");
  await mkdir(data);

  const command = await prometheusCommand({ config, data, port: ports.prometheus });
  const service = launch("prometheus", [...command, "--log.level=warn"]);
  const url = `http://${LOOPBACK}:${ports.prometheus}`;
  await service.answers(`${url}/-/ready`);
  return url;
}

function startScript(
  name: "server" | "client",
  command: readonly string[],
  ports: Ports,
  { collector, launch }: StackOptions,
): Service {
  return launch(name, command, {
    ECHO_ADDR: `:${ports.echo}`,
    ...(collector ? pushing(ports) : {
      OTEL_METRICS_EXPORTER: "prometheus",
      OTEL_EXPORTER_PROMETHEUS_HOST: LOOPBACK,
      OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[`${name}Metrics`]}`,
    }),
  });
}

/** The variables with which a script sends to the Collector, as often as that is scraped. */
function pushing(ports: Ports): Record<string, string> {
  const grpc = process.env["OTEL_EXPORTER_OTLP_PROTOCOL"] === "grpc";
  return {
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${LOOPBACK}:${grpc ? ports.otlpGrpc : ports.otlpHttp}`,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "",
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "",
    OTEL_METRIC_EXPORT_INTERVAL: process.env["OTEL_METRIC_EXPORT_INTERVAL"] || "5000",
  };
}

/** Waits until a script runs; its last line then says where its metrics are, or where they go. */
async function metricsOf(script: Service, { collector }: StackOptions): Promise<string> {
  const metrics = await script.printed(/^Metrics at (.*)/);
  if (!collector) await script.answers(metrics);
  return metrics;
}
