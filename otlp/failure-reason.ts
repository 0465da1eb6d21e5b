/** What an exporter says of a failure; a gRPC status and an HTTP status both come as a `code`. */
interface ExportError extends Error {
  readonly code?: unknown;
  readonly errors?: unknown;
}

/** In what words the runtimes' TLS (OpenSSL, BoringSSL, rustls) say what, and what can be done. */
const TLS_FAILURES: readonly [words: RegExp, meaning: string][] = [
  [
    /alert.*certificate.?required/i,
    "it asks for a client certificate, which OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is for",
  ],
  [
    /alert.*(unknown.?ca|(bad|unknown|unsupported|expired|revoked).?certificate|certificate.?(unknown|expired|revoked))/i,
    "it refuses the client certificate in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  ],
  [/certificate has expired/i, "its certificate has expired"],
  // Deno says so of an expired one too.
  [
    /self.signed certificate|unable to (verify|get)/i,
    "its certificate cannot be verified: it has expired, or its authority is missing in " +
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
  ],
  [
    /servername.*IP address/i,
    "gRPC with TLS needs the name of its host in the endpoint, not an IP address",
  ],
  [
    /wrong.version.number|InvalidContentType/i,
    "it does not speak TLS: the endpoint has to begin with http://",
  ],
];

const CLIENT_CERTIFICATE = "the right client certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)";

/** A connection that the other side closes without a word, after a handshake that looked good. */
const CLOSED = /socket hang up|ECONNRESET|EPIPE|Failed to connect/;

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
  const text = withoutWrapping(error.message || String(error.code ?? error.name));
  if (error.name === "OTLPExporterError" && typeof error.code === "number") {
    return `it answered with HTTP ${error.code} ${text}`;
  }
  if (!secure) return text;
  const meaning = TLS_FAILURES.find(([words]) => words.test(text))?.[1];
  if (meaning !== undefined) return meaning;
  return CLOSED.test(text) ? `${text}, perhaps for want of ${CLIENT_CERTIFICATE}` : text;
}

/** What grpc-js puts around the failure of a connection says nothing more, but that it is grpc-js. */
function withoutWrapping(message: string): string {
  const text = message.split("\n", 1).join();
  const [, lastError] = /No connection established\. Last error: (.*?)\.? Resolution note:/
    .exec(text) ?? [];
  return lastError?.replace(/^Error( \[\w+\])?: /, "").replace(/ \(\d{4}-\S+Z\)$/, "") ?? text;
}
