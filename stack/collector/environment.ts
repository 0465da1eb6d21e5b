/** TCP ports of a Collector that runs `otel-collector.yaml`. */
export interface CollectorPorts {
  /** OTLP over HTTP. */
  readonly http: number;
  /** OTLP over gRPC. */
  readonly grpc: number;
  /** The `/metrics` page with what programs sent. */
  readonly prometheus: number;
  /** The health check. */
  readonly health: number;
  /** The `/metrics` page about the Collector itself. */
  readonly telemetry: number;
}

/** Returns the variables that make `otel-collector.yaml` listen on these ports of loopback. */
export function collectorEnvironment(ports: CollectorPorts): Record<string, string> {
  return {
    COLLECTOR_OTLP_HTTP_ENDPOINT: `127.0.0.1:${ports.http}`,
    COLLECTOR_OTLP_GRPC_ENDPOINT: `127.0.0.1:${ports.grpc}`,
    COLLECTOR_PROMETHEUS_ENDPOINT: `127.0.0.1:${ports.prometheus}`,
    COLLECTOR_HEALTH_ENDPOINT: `127.0.0.1:${ports.health}`,
    COLLECTOR_TELEMETRY_HOST: "127.0.0.1",
    COLLECTOR_TELEMETRY_PORT: `${ports.telemetry}`,
  };
}
