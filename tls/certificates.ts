import { checkKeyPair, parseCertificates, withoutByteOrderMark } from "./pem.ts";
import { certificateValidity } from "./validity.ts";
import { type FileLog, WatchedFiles } from "./watched-files.ts";

/** The paths of files in PEM. */
export interface IdentityPaths {
  /** Who one is: a certificate, and those between it and its authority. */
  readonly certificate: string;
  /** Its private key, without a passphrase. */
  readonly key: string;
}

/** Who one is, as `tls.createSecureContext` takes it. */
export interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** What a server shows, and whom it believes. */
export interface ServerCertificates extends Identity {
  /** The authorities of clients; if there are none, clients are asked for no certificate. */
  readonly ca?: Buffer;
}

/** What a client believes, and what it shows to a server that asks for it. */
export interface ClientCertificates extends Partial<Identity> {
  /** The authorities of servers. */
  readonly ca: Buffer;
}

/**
 * What a client needs, as one.
 *
 * @param ca The file with the authorities of servers.
 */
export function watchClientCertificates(
  ca: string,
  identity: IdentityPaths | undefined,
  log: FileLog,
) {
  const paths = identity === undefined ? [ca] : [ca, identity.certificate, identity.key];
  return new WatchedFiles<ClientCertificates>(
    paths,
    ([authorities, ...rest]) => ({
      ca: parseAuthorities(authorities),
      ...(identity !== undefined && parseIdentity(rest)),
    }),
    log,
    undefined,
    (contents) =>
      certificateValidity(paths, contents, {
        authorities: ca,
        certificate: identity?.certificate,
      }),
  );
}

/**
 * What a server needs, as one.
 *
 * @param clientCa The file with the authorities of clients, if clients have to show certificates.
 */
export function watchServerCertificates(
  { certificate, key }: IdentityPaths,
  clientCa: string | undefined,
  log: FileLog,
) {
  const paths = clientCa === undefined ? [certificate, key] : [certificate, key, clientCa];
  return new WatchedFiles<ServerCertificates>(
    paths,
    (contents) => ({
      ...parseIdentity(contents),
      ...(clientCa !== undefined && { ca: parseAuthorities(contents[2]) }),
    }),
    log,
    undefined,
    (contents) => certificateValidity(paths, contents, { authorities: clientCa, certificate }),
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
