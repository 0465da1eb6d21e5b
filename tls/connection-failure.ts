/** The names of a program's TLS settings, for messages about failed connections. */
export interface TlsSettingNames {
  /** The setting with the authorities that verify a server's certificate. */
  readonly authority: string;
  /** The setting with the certificate that the client sends. */
  readonly clientCertificate: string;
  /** The setting with the server's host. It follows "in". */
  readonly address: string;
  /** The advice to switch TLS off. It follows "it does not speak TLS: ". */
  readonly withoutTls: string;
}

/** Error texts of the runtimes' TLS (OpenSSL, BoringSSL, rustls), and what each means. */
const FAILURES: readonly [pattern: RegExp, meaning: (names: TlsSettingNames) => string][] = [
  [
    /alert.*certificate.?required/i,
    ({ clientCertificate }) => `it asks for a client certificate: set ${clientCertificate}`,
  ],
  [
    /alert.*(unknown.?ca|(bad|unknown|unsupported|expired|revoked).?certificate|certificate.?(unknown|expired|revoked))/i,
    ({ clientCertificate }) => `it refuses the client certificate in ${clientCertificate}`,
  ],
  [/certificate has expired/i, () => "its certificate has expired"],
  // Deno reports an expired certificate in the same words.
  [
    /self.signed certificate|unable to (verify|get)/i,
    ({ authority }) =>
      `its certificate cannot be verified: it has expired, or its authority is missing in ${authority}`,
  ],
  [
    /servername.*IP address/i,
    ({ address }) => `gRPC with TLS needs the name of its host in ${address}, not an IP address`,
  ],
  [
    /wrong.version.number|InvalidContentType/i,
    ({ withoutTls }) => `it does not speak TLS: ${withoutTls}`,
  ],
];

/** Errors of a connection that the other side closed without an alert, after a good handshake. */
const CLOSED = /socket hang up|ECONNRESET|EPIPE|Failed to connect/;

/**
 * Explains why a TLS connection failed, and which setting to change.
 *
 * @param text the runtime's error in one line
 * @param names the names of the settings to mention
 * @returns the explanation, or the text as it is if its cause is unknown
 */
export function tlsFailureReason(text: string, names: TlsSettingNames): string {
  const meaning = FAILURES.find(([pattern]) => pattern.test(text))?.[1];
  if (meaning !== undefined) return meaning(names);
  if (!CLOSED.test(text)) return text;
  return `${text}; it may require a valid client certificate (${names.clientCertificate})`;
}

/**
 * Extracts the connection error from a grpc-js message, which wraps it in text that adds nothing.
 *
 * @param message an error's message or a status's details
 * @returns the error in one line, or the first line of a message of another form
 */
export function connectionFailure(message: string): string {
  const text = message.split("\n", 1).join();
  const [, lastError] = /No connection established\. Last error: (.*?)(?:\.? Resolution note:|$)/
    .exec(text) ?? [];
  return lastError?.replace(/^Error( \[\w+\])?: /, "").replace(/ \(\d{4}-\S+Z\)$/, "") ?? text;
}
