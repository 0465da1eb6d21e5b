import { isLoopback } from "../prometheus/host.ts";
import { PrometheusReader, startScrapeEndpoint } from "../prometheus/mod.ts";
import type { AuthenticationFiles, ScrapeEndpointTls } from "../prometheus/mod.ts";
import { log } from "./log.ts";
import type { MetricsOutput } from "./output.ts";
import { grpcPage } from "./page/mod.ts";
import { StartupError } from "./settings/mod.ts";
import type { Settings } from "./settings/mod.ts";

/**
 * Starts the pull path: Prometheus scrapes `/metrics`.
 *
 * @param defaultPort port of `/metrics` unless the environment gives one
 * @param anyPortIfInUse whether to listen on any free port if the port is in use
 * @throws {StartupError} if it cannot listen there
 */
export async function startPull(
  settings: Settings,
  defaultPort: number,
  anyPortIfInUse: boolean,
): Promise<MetricsOutput> {
  const reader = new PrometheusReader();
  const host = settings.OTEL_EXPORTER_PROMETHEUS_HOST;
  const port = settings.OTEL_EXPORTER_PROMETHEUS_PORT ?? defaultPort;
  const warning = exposureWarning(settings);
  if (warning !== undefined) log(warning);
  const listen = (port: number) =>
    startScrapeEndpoint({
      reader,
      host,
      port,
      translationStrategy: settings.GRPC_METRICS_TRANSLATION_STRATEGY,
      withResourceConstantLabels: anyOf(settings.GRPC_METRICS_RESOURCE_LABELS),
      tls: tlsFiles(settings),
      authentication: authenticationFiles(settings),
      allowedHosts: settings.GRPC_METRICS_ALLOWED_HOSTS,
      page: settings.GRPC_METRICS_PAGE ? grpcPage() : undefined,
    });
  try {
    const endpoint = await listen(port).catch((error: NodeJS.ErrnoException) => {
      if (!anyPortIfInUse || error.code !== "EADDRINUSE") throw error;
      return listen(0);
    });
    return { reader, endpoint: endpoint.url, close: () => endpoint.close() };
  } catch (error) {
    throw new StartupError(await listenFailure(host, port, error as NodeJS.ErrnoException));
  }
}

/**
 * Returns a log line if other hosts can reach `/metrics` without authentication, or if secrets are
 * sent to it unencrypted.
 */
export function exposureWarning(settings: Settings): string | undefined {
  const host = settings.OTEL_EXPORTER_PROMETHEUS_HOST;
  if (isLoopback(host) || settings.GRPC_METRICS_TLS_CLIENT_CA !== undefined) return undefined;
  if (authenticationFiles(settings) === undefined) {
    return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}: anyone who can reach it can read the metrics; ` +
      "GRPC_METRICS_BEARER_TOKEN_FILE, GRPC_METRICS_BASIC_AUTH_FILE and GRPC_METRICS_TLS_CLIENT_CA " +
      "keep others out";
  }
  if (settings.GRPC_METRICS_TLS_CERT !== undefined) return undefined;
  return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}: the secret that /metrics asks for is sent to it ` +
    "unencrypted; GRPC_METRICS_TLS_CERT and GRPC_METRICS_TLS_KEY switch TLS on";
}

function tlsFiles(settings: Settings): ScrapeEndpointTls | undefined {
  const { GRPC_METRICS_TLS_CERT, GRPC_METRICS_TLS_KEY, GRPC_METRICS_TLS_CLIENT_CA } = settings;
  if (GRPC_METRICS_TLS_CERT === undefined || GRPC_METRICS_TLS_KEY === undefined) return undefined;
  return {
    certificate: GRPC_METRICS_TLS_CERT,
    key: GRPC_METRICS_TLS_KEY,
    clientCa: GRPC_METRICS_TLS_CLIENT_CA,
  };
}

/** Returns a pattern that matches each of the keys, and nothing else. */
function anyOf(keys: readonly string[] | undefined): RegExp | undefined {
  const patterns = keys?.map((key) => key.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return patterns && new RegExp(`^(?:${patterns.join("|")})$`);
}

function authenticationFiles(settings: Settings): AuthenticationFiles | undefined {
  const { GRPC_METRICS_BEARER_TOKEN_FILE, GRPC_METRICS_BASIC_AUTH_FILE } = settings;
  const files = { bearerToken: GRPC_METRICS_BEARER_TOKEN_FILE, user: GRPC_METRICS_BASIC_AUTH_FILE };
  return files.bearerToken ?? files.user ? files : undefined;
}

async function listenFailure(
  host: string,
  port: number,
  error: NodeJS.ErrnoException,
): Promise<string> {
  if (error.code === "EADDRINUSE") {
    const { default: cluster } = await import("node:cluster");
    return `OTEL_EXPORTER_PROMETHEUS_PORT=${port}: port ${port} of ${host} is in use; ` +
      (cluster.isWorker
        ? "each worker of a cluster needs another port: set one for each, or 0 for any free one, " +
          "or push with OTEL_METRICS_EXPORTER=otlp"
        : "set another port, or 0 for any free one");
  }
  return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}, OTEL_EXPORTER_PROMETHEUS_PORT=${port}: ` +
    `cannot listen there: ${error.message}`;
}
