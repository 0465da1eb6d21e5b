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
 * Why an export failed: one line without a stack, in the words of whoever noticed unless those are
 * an internal matter of the runtime.
 *
 * @param thrown What the exporter gave as its error. It never throws, whatever that is.
 * @param secure Whether the connection is made with TLS.
 */
export function failureReason(thrown: unknown, secure: boolean): string {
  if (thrown === undefined) return "unknown error";
  try {
    return oneLine(reasonOf(Object(thrown), secure)) || thrownText(thrown);
  } catch {
    return thrownText(thrown);
  }
}

/** What an exporter says of a failure; a gRPC status and an HTTP status both come as a `code`. */
interface ExportError {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly errors?: unknown;
}

/** @returns Nothing if the error says nothing. */
function reasonOf(error: ExportError, secure: boolean): string {
  const { name, message, code, errors } = error;
  // A refused connection to a name with several addresses has one error each, and no text itself.
  const first: unknown = message === "" && Array.isArray(errors) ? errors[0] : undefined;
  if (first !== undefined) return failureReason(first, secure);
  if (message === "Export failed with retryable status") {
    return "it answered that it is busy or overloaded (HTTP 429, 502, 503 or 504)";
  }
  const said = String(message || (code ?? name ?? ""));
  // The endpoint was checked before. Deno quotes the proxy's URL, in which there may be a password.
  if (said.startsWith("Invalid URL")) {
    return "the URL of the proxy is not valid; HTTP_PROXY and HTTPS_PROXY have to begin with http://";
  }
  const text = connectionFailure(said);
  if (name === "OTLPExporterError" && typeof code === "number") {
    return `it answered with HTTP ${code} ${text}`;
  }
  return secure ? tlsFailureReason(text, NAMES) : text;
}
