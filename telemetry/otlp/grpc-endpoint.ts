import { resolve } from "node:path";
import { grpcHostAndPort, isUrl } from "../settings/endpoints.ts";

/** A gRPC endpoint in the form that the stock exporters take. */
export interface GrpcEndpoint {
  /** An `http:`, `https:` or `unix:` URL. */
  readonly url: string;
  /** Whether the connection has no TLS, where the URL does not tell. */
  readonly isPlain?: boolean;
}

/**
 * Returns the URL for the stock exporters, which misread most targets that are no URL. TLS follows the
 * OTLP exporter specification: `http://` and `https://` decide, then `insecure`. Without any of them,
 * hosts have TLS, and Unix sockets have none, as in OpenTelemetry's exporters for Go.
 *
 * @param endpoint the value of `OTEL_EXPORTER_OTLP_ENDPOINT`
 * @param insecure the value of `OTEL_EXPORTER_OTLP_INSECURE`
 */
export function grpcEndpoint(endpoint: string, insecure: boolean | undefined): GrpcEndpoint {
  // They take `HTTP://` for a URL with TLS.
  if (isUrl(endpoint)) return { url: endpoint.replace(/^\w+:/, (scheme) => scheme.toLowerCase()) };
  if (endpoint.startsWith("unix:")) {
    const path = endpoint.replace(/^unix:(\/\/)?/, "");
    return { url: `unix://${resolve(path)}`, isPlain: insecure ?? true };
  }
  return { url: `${insecure ? "http" : "https"}://${grpcHostAndPort(endpoint)}` };
}
