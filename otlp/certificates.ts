import { checkKeyPair, parseCertificates, refuseByteOrderMark } from "../tls/pem.ts";
import { certificateValidity } from "../tls/validity.ts";
import { type FileLog, WatchedFiles } from "../tls/watched-files.ts";

/** The paths of files in PEM; a certificate comes with its key. */
export interface OtlpFiles {
  /** What a Collector's certificate is checked against. */
  readonly authorities: string | undefined;
  /** What is shown to a Collector. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/**
 * Tells of new certificates once they are whole. The SDK's exporters read theirs only once.
 *
 * @returns ends it
 * @throws {Error} if a file can't be used now
 */
export function onNewCertificates(
  files: OtlpFiles,
  log: FileLog,
  renew: () => void,
): () => void {
  const { authorities, certificate, key } = files;
  const paths = [authorities, certificate, key].filter((path) => path !== undefined);
  if (paths.length === 0) return () => {};
  const check = (contents: readonly Buffer[]) => {
    contents.forEach(refuseByteOrderMark);
    const content = (path: string | undefined) => path && contents[paths.indexOf(path)];
    const [own, ownKey, others] = [content(certificate), content(key), content(authorities)];
    if (others) parseCertificates(others);
    if (own && ownKey) checkKeyPair(own, ownKey);
  };
  const validityOf = (contents: readonly Buffer[]) => certificateValidity(paths, contents, files);
  return new WatchedFiles(paths, check, log, undefined, validityOf).onChange(renew);
}
