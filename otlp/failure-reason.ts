import { connectionFailure, tlsFailureReason } from "../tls/failure-reason.ts";
import type { TlsSettingNames } from "../tls/failure-reason.ts";

/** What an exporter says of a failure; a gRPC status and an HTTP status both come as a `code`. */
interface ExportError extends Error {
  readonly code?: unknown;
  readonly errors?: unknown;
}

const NAMES: TlsSettingNames = {
  authority: "OTEL_EXPORTER_OTLP_CERTIFICATE",
  clientCertificate: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  address: "the endpoint",
  withoutTls: "the endpoint has to begin with http://",
};

/**
 * Why an export failed: one line without a stack, in the words of whoever noticed unless those are
 * an internal matter of the runtime.
 *
 * @param secure Whether the connection is made with TLS.
 */
export function failureReason(error: ExportError | undefined, secure: boolean): string {
  if (error === undefined) return "unknown error";
  // A refused connection to a name with several addresses has one error each, and no text itself.
  if (error.message === "" && Array.isArray(error.errors)) {
    return failureReason(error.errors[0], secure);
  }
  if (error.message === "Export failed with retryable status") {
    return "it answered that it is busy or overloaded (HTTP 429, 502, 503 or 504)";
  }
  // The endpoint was checked before. Deno quotes the proxy's URL, in which there may be a password.
  if (error.message.startsWith("Invalid URL")) {
    return "the URL of the proxy is not valid; HTTP_PROXY and HTTPS_PROXY have to begin with http://";
  }
  const text = connectionFailure(error.message || String(error.code ?? error.name));
  if (error.name === "OTLPExporterError" && typeof error.code === "number") {
    return `it answered with HTTP ${error.code} ${text}`;
  }
  return secure ? tlsFailureReason(text, NAMES) : text;
}
