import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { collectorEnvironment } from "./collector/environment.ts";
import { freePorts } from "./ports.ts";
import { prometheusCommand } from "./prometheus-command.ts";
import { forwardingConfig, prometheusConfig } from "./prometheus-config.ts";
import type { Service } from "./service.ts";
import { victoriaMetricsCommand } from "./victoria-metrics-command.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const LOOPBACK = "127.0.0.1";

/** The documented port of each service, used if it is free. */
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
  storage: 8428,
};
type Ports = Record<keyof typeof STANDARD_PORTS, number>;

/** Options of {@link startStack}. */
export interface StackOptions {
  /** Path of the Collector. Without one, the scripts do not push. */
  readonly collector: string | undefined;
  /** Whether Prometheus runs. It scrapes the Collector, or the scripts without one. */
  readonly prometheus: boolean;
  /** Whether Prometheus forwards everything to VictoriaMetrics. */
  readonly storage: boolean;
  /** A folder for temporary files. The caller removes it. */
  readonly folder: string;
  /** Starts a service. The caller stops it. */
  readonly launch: (
    name: string,
    command: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ) => Service;
}

/** Addresses of a running stack. */
export interface StackUrls {
  /** Prometheus, if it runs, without a slash at the end. */
  readonly prometheus: string | undefined;
  /** VictoriaMetrics, if it runs, without a slash at the end. */
  readonly storage: string | undefined;
  /** The scripts' metrics: their own pages, or the Collector's. */
  readonly metrics: readonly string[];
  /** The live page of each script. */
  readonly pages: Readonly<Record<"server" | "client", string>>;
}

/**
 * Starts all services in order, receivers of metrics before senders. Each starts when the one
 * before is healthy.
 *
 * @throws {Error} when a service does not become healthy.
 */
export async function startStack(options: StackOptions): Promise<StackUrls> {
  const { collector, launch } = options;
  const ports = await freePorts(STANDARD_PORTS);

  const storage = options.storage ? await startStorage(ports, options) : undefined;
  if (collector !== undefined) await startCollector(collector, ports, launch);
  const prometheus = options.prometheus
    ? await startPrometheus(ports, storage, options)
    : undefined;

  const server = startScript("server", ["bun", "run", "server.ts"], ports, options);
  const serverMetrics = await metricsUrl(server, options);
  const client = startScript(
    "client",
    ["deno", "run", "-A", "--quiet", "client.ts"],
    ports,
    options,
  );
  const clientMetrics = await metricsUrl(client, options);
  return {
    prometheus,
    storage,
    metrics: collector
      ? [`http://${LOOPBACK}:${ports.collectorMetrics}/metrics`]
      : [serverMetrics, clientMetrics],
    pages: { server: pageOf(serverMetrics), client: pageOf(clientMetrics) },
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

async function startStorage(ports: Ports, { folder, launch }: StackOptions): Promise<string> {
  const data = join(folder, "storage");
  const command = await victoriaMetricsCommand({ data, port: ports.storage });
  const service = launch("storage", [...command, "-loggerLevel=WARN"]);
  const url = `http://${LOOPBACK}:${ports.storage}`;
  await service.answers(`${url}/health`);
  return url;
}

async function startPrometheus(
  ports: Ports,
  storage: string | undefined,
  { collector, folder, launch }: StackOptions,
): Promise<string> {
  const jobs = collector
    ? { collector: ports.collectorMetrics, "collector-telemetry": ports.collectorTelemetry }
    : { "echo-server": ports.serverMetrics, "echo-client": ports.clientMetrics };
  const targets = Object.entries({ prometheus: ports.prometheus, ...jobs })
    .map(([job, port]) => [job, `${LOOPBACK}:${port}`]);
  const text = await readFile(join(PROJECT, "prometheus.yml"), "utf8");
  const config = join(folder, "prometheus.yml");
  const scraping = prometheusConfig(text, Object.fromEntries(targets), PROJECT);
  await writeFile(config, storage ? forwardingConfig(scraping, storage) : scraping);
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
    // The live page is there also when metrics are pushed.
    OTEL_METRICS_EXPORTER: collector ? "prometheus,otlp" : "prometheus",
    OTEL_EXPORTER_PROMETHEUS_HOST: LOOPBACK,
    OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[`${name}Metrics`]}`,
    ...(collector ? pushEnvironment(ports) : {}),
  });
}

/** Returns the variables that make a script push to the Collector as often as that is scraped. */
function pushEnvironment(ports: Ports): Record<string, string> {
  const grpc = process.env["OTEL_EXPORTER_OTLP_PROTOCOL"] === "grpc";
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${LOOPBACK}:${grpc ? ports.otlpGrpc : ports.otlpHttp}`,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "",
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "",
    OTEL_METRIC_EXPORT_INTERVAL: process.env["OTEL_METRIC_EXPORT_INTERVAL"] || "5000",
  };
}

/** Waits until a script runs and returns the address of its metrics. */
async function metricsUrl(script: Service, { collector }: StackOptions): Promise<string> {
  const metrics = await script.printed(/^Metrics at (http\S+\/metrics)/);
  if (!collector) await script.answers(metrics);
  return metrics;
}

/** Returns the address of the live page next to a script's metrics. */
function pageOf(metrics: string): string {
  return new URL("/", metrics).href;
}
