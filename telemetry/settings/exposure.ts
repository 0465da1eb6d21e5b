import { isLoopback } from "../../prometheus/host.ts";
import type { Settings } from "./variables.ts";

/**
 * A line for the log about a `/metrics` that others than this host can reach: that it asks nobody who
 * they are, or that secrets come to it unencrypted.
 *
 * @returns undefined if there is nothing to warn of
 */
export function exposureWarning(settings: Settings): string | undefined {
  const host = settings.OTEL_EXPORTER_PROMETHEUS_HOST;
  if (isLoopback(host) || settings.GRPC_METRICS_TLS_CLIENT_CA !== undefined) return undefined;
  if (
    settings.GRPC_METRICS_BEARER_TOKEN_FILE === undefined &&
    settings.GRPC_METRICS_BASIC_AUTH_FILE === undefined
  ) {
    return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}: whoever can reach it can read the metrics; ` +
      "GRPC_METRICS_BEARER_TOKEN_FILE, GRPC_METRICS_BASIC_AUTH_FILE and GRPC_METRICS_TLS_CLIENT_CA " +
      "keep others out";
  }
  if (settings.GRPC_METRICS_TLS_CERT !== undefined) return undefined;
  return `OTEL_EXPORTER_PROMETHEUS_HOST=${host}: the secret that /metrics asks for is sent to it ` +
    "unencrypted; GRPC_METRICS_TLS_CERT and GRPC_METRICS_TLS_KEY switch TLS on";
}
