import { status } from "@grpc/grpc-js";
import { oneLine, thrownText } from "../../log/thrown-text.ts";
import { connectionFailure, tlsFailureReason } from "../../tls/connection-failure.ts";
import type { TlsSettingNames } from "../../tls/connection-failure.ts";
import { NoOtlpError } from "./answers.ts";

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

/**
 * How an export failed, and so what helps. `passing` and `no answer` may heal by themselves. The
 * others do not, because the receiver refuses the same request again.
 */
export type FailureKind =
  | "passing"
  | "no answer"
  | "too large"
  | "bad data"
  | "no access"
  | "no OTLP";

/** Why an export failed. */
export interface Failure {
  readonly kind: FailureKind;
  /** The reason in one line. */
  readonly reason: string;
}

/** What to do about a failure that does not heal by itself. */
export const REMEDIES: Readonly<Partial<Record<FailureKind, string>>> = {
  "too large": "raise the limit there for the size of a request",
  "bad data": "the log there says why",
  "no access": "check the credentials in OTEL_EXPORTER_OTLP_HEADERS",
  "no OTLP": "check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL",
};

/**
 * Describes why an export failed. Never throws.
 *
 * @param thrown the exporter's error, which may be any value
 * @param secure whether the connection uses TLS
 */
export function describeFailure(thrown: unknown, secure: boolean): Failure {
  return { kind: failureKind(thrown), reason: failureReason(thrown, secure) };
}

/** HTTP statuses between 400 and 500 that are not about the data. */
const HTTP_KINDS: Readonly<Record<number, FailureKind>> = {
  401: "no access",
  403: "no access",
  404: "no OTLP",
  405: "no OTLP",
  406: "no OTLP",
  407: "no access",
  408: "passing",
  413: "too large",
  415: "no OTLP",
  421: "no OTLP",
  425: "passing",
  426: "no OTLP",
  429: "passing",
};

const GRPC_KINDS: Readonly<Record<number, FailureKind>> = {
  [status.INVALID_ARGUMENT]: "bad data",
  [status.DEADLINE_EXCEEDED]: "no answer",
  [status.PERMISSION_DENIED]: "no access",
  [status.FAILED_PRECONDITION]: "bad data",
  [status.UNIMPLEMENTED]: "no OTLP",
  [status.UNAUTHENTICATED]: "no access",
};

/** gRPC has no status for this alone. The texts are those of Go, Java, .NET, Rust and of proxies. */
const TOO_LARGE = /larger than max|exceeds (?:the )?max|too large|HTTP status code:? 413/i;

function failureKind(thrown: unknown): FailureKind {
  try {
    if (thrown instanceof NoOtlpError) return "no OTLP";
    const { name, message, code } = Object(thrown) as ExportError;
    if (message === "Request timed out") return "no answer";
    if (typeof code !== "number") return "passing";
    if (name === "OTLPExporterError") {
      if (code < 400 || code === 501) return "no OTLP";
      return code < 500 ? HTTP_KINDS[code] ?? "bad data" : "passing";
    }
    return TOO_LARGE.test(String(message)) ? "too large" : GRPC_KINDS[code] ?? "passing";
  } catch {
    return "passing";
  }
}
