import { checkKeyPair, parseCertificates, withoutByteOrderMark } from "./pem.ts";
import { certificateValidity } from "./validity.ts";
import { type FileLog, WatchedFiles } from "./watched-files.ts";

/** The paths of a certificate and its key, both in PEM. */
export interface IdentityPaths {
  /** The certificate, followed by any intermediate certificates. */
  readonly certificate: string;
  /** The certificate's private key, without a passphrase. */
  readonly key: string;
}

/** A certificate chain and its key, as `tls.createSecureContext` takes them. */
export interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A server's own identity and the authorities that it trusts. */
export interface ServerCertificates extends Identity {
  /** The authorities of clients. Without them, the server requests no client certificate. */
  readonly ca?: Buffer;
}

/** The authorities that a client trusts, and its identity for servers that request one. */
export interface ClientCertificates extends Partial<Identity> {
  /** The authorities of servers. */
  readonly ca: Buffer;
}

/**
 * Watches a client's certificate files. New contents take effect together, once all files fit.
 *
 * @param ca the path of the authorities of servers
 * @param identity the client's own certificate and key, if it has one
 * @throws {Error} if a file cannot be used, see {@linkcode WatchedFiles}
 */
export function watchClientCertificates(
  ca: string,
  identity: IdentityPaths | undefined,
  log: FileLog,
): WatchedFiles<ClientCertificates> {
  const paths = identity === undefined ? [ca] : [ca, identity.certificate, identity.key];
  return new WatchedFiles<ClientCertificates>(
    paths,
    ([authorities, ...rest]) => ({
      ca: parseAuthorities(authorities),
      ...(identity !== undefined && parseIdentity(rest)),
    }),
    log,
    {
      validityOf: (contents) =>
        certificateValidity(paths, contents, {
          authorities: ca,
          certificate: identity?.certificate,
        }),
    },
  );
}

/**
 * Watches a server's certificate files. New contents take effect together, once all files fit.
 *
 * @param clientCa the path of the authorities of clients, if clients must have a certificate
 * @throws {Error} if a file cannot be used, see {@linkcode WatchedFiles}
 */
export function watchServerCertificates(
  { certificate, key }: IdentityPaths,
  clientCa: string | undefined,
  log: FileLog,
): WatchedFiles<ServerCertificates> {
  const paths = clientCa === undefined ? [certificate, key] : [certificate, key, clientCa];
  return new WatchedFiles<ServerCertificates>(
    paths,
    (contents) => ({
      ...parseIdentity(contents),
      ...(clientCa !== undefined && { ca: parseAuthorities(contents[2]) }),
    }),
    log,
    {
      validityOf: (contents) =>
        certificateValidity(paths, contents, { authorities: clientCa, certificate }),
    },
  );
}

function parseIdentity([cert, key]: readonly Buffer[]): Identity {
  if (cert === undefined || key === undefined) throw new Error("a file is missing");
  checkKeyPair(cert, key);
  return { cert: withoutByteOrderMark(cert), key: withoutByteOrderMark(key) };
}

function parseAuthorities(content: Buffer | undefined): Buffer {
  if (content === undefined) throw new Error("a file is missing");
  parseCertificates(content);
  return withoutByteOrderMark(content);
}
