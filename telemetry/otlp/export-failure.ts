import { oneLine, thrownText } from "../../log/thrown-text.ts";
import { connectionFailure, tlsFailureReason } from "../../tls/connection-failure.ts";
import type { TlsSettingNames } from "../../tls/connection-failure.ts";

const NAMES: TlsSettingNames = {
  authority: "OTEL_EXPORTER_OTLP_CERTIFICATE",
  clientCertificate: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  address: "the endpoint",
  withoutTls: "the endpoint has to begin with http://",
};

/**
 * Explains in one line why an export failed. Texts that only the runtime's authors understand are
 * translated; others stay as they are. Never throws.
 *
 * @param thrown the exporter's error, which may be any value
 * @param secure whether the connection uses TLS
 */
export function failureReason(thrown: unknown, secure: boolean): string {
  if (thrown === undefined) return "unknown error";
  try {
    return oneLine(reasonOf(Object(thrown), secure)) || thrownText(thrown);
  } catch {
    return thrownText(thrown);
  }
}

/** An exporter's error. Its `code` may be a gRPC status, an HTTP status or a system error. */
interface ExportError {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly errors?: unknown;
}

/** Returns an empty text if the error has none. */
function reasonOf(error: ExportError, secure: boolean): string {
  const { name, message, code, errors } = error;
  // If a name has several addresses, the error has no text, but one error for each address.
  const first: unknown = message === "" && Array.isArray(errors) ? errors[0] : undefined;
  if (first !== undefined) return failureReason(first, secure);
  if (message === "Export failed with retryable status") {
    return "it answered that it is busy or overloaded (HTTP 429, 502, 503 or 504)";
  }
  const original = String(message || (code ?? name ?? ""));
  // The endpoint is valid, so this is about the proxy. Deno quotes its URL, which may hold a password.
  if (original.startsWith("Invalid URL")) {
    return "the URL of the proxy is not valid; HTTP_PROXY and HTTPS_PROXY have to begin with http://";
  }
  const text = connectionFailure(original);
  if (name === "OTLPExporterError" && typeof code === "number") {
    return `it answered with HTTP ${code} ${text}`;
  }
  return secure ? tlsFailureReason(text, NAMES) : text;
}
