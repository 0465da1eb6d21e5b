/** Where a Collector of `otel-collector.yaml` listens. */
export interface CollectorPorts {
  readonly http: number;
  readonly grpc: number;
  readonly prometheus: number;
  readonly health: number;
  readonly telemetry: number;
}

/** The variables that make `otel-collector.yaml` listen on these ports, all on the loopback address. */
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
