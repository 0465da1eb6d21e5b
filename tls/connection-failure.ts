/** What the settings of TLS are called where a failure is told. */
export interface TlsSettingNames {
  /** Of the authorities that a server's certificate is checked against. */
  readonly authority: string;
  /** Of the certificate that is shown to a server. */
  readonly clientCertificate: string;
  /** Where the server's host is given, after "in". */
  readonly address: string;
  /** What switches TLS off, after "it does not speak TLS: ". */
  readonly withoutTls: string;
}

/** In what words the runtimes' TLS (OpenSSL, BoringSSL, rustls) say what, and what can be done. */
const FAILURES: readonly [words: RegExp, meaning: (names: TlsSettingNames) => string][] = [
  [
    /alert.*certificate.?required/i,
    ({ clientCertificate }) =>
      `it asks for a client certificate, which ${clientCertificate} is for`,
  ],
  [
    /alert.*(unknown.?ca|(bad|unknown|unsupported|expired|revoked).?certificate|certificate.?(unknown|expired|revoked))/i,
    ({ clientCertificate }) => `it refuses the client certificate in ${clientCertificate}`,
  ],
  [/certificate has expired/i, () => "its certificate has expired"],
  // Deno says so of an expired one too.
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

/** A connection that the other side closes without a word, after a handshake that looked good. */
const CLOSED = /socket hang up|ECONNRESET|EPIPE|Failed to connect/;

/**
 * Why a connection over TLS failed, in words for whoever can mend it, or as it was said if nothing
 * better is known.
 *
 * @param text What the runtime said, one line.
 */
export function tlsFailureReason(text: string, names: TlsSettingNames): string {
  const meaning = FAILURES.find(([words]) => words.test(text))?.[1];
  if (meaning !== undefined) return meaning(names);
  if (!CLOSED.test(text)) return text;
  return `${text}, perhaps for want of the right client certificate (${names.clientCertificate})`;
}

/**
 * What a connection failed of, without what grpc-js puts around it, which says nothing more.
 *
 * @param message An error's message or a status's details; what is not of that form stays.
 * @returns Its first line.
 */
export function connectionFailure(message: string): string {
  const text = message.split("\n", 1).join();
  const [, lastError] = /No connection established\. Last error: (.*?)(?:\.? Resolution note:|$)/
    .exec(text) ?? [];
  return lastError?.replace(/^Error( \[\w+\])?: /, "").replace(/ \(\d{4}-\S+Z\)$/, "") ?? text;
}
