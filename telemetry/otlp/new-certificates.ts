import { checkKeyPair, parseCertificates, refuseByteOrderMark } from "../../tls/pem.ts";
import { certificateValidity } from "../../tls/validity.ts";
import { type FileLog, WatchedFiles } from "../../tls/watched-files.ts";

/** The paths of files in PEM; a certificate comes with its key. */
export interface OtlpFiles {
  /** What a Collector's certificate is checked against. */
  readonly authorities: string | undefined;
  /** What is shown to a Collector. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** Metrics and traces may have the same files: these are read once, and told of once. */
const watched = new Map<string, { readonly files: WatchedFiles<void>; users: number }>();

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
  const name = JSON.stringify([authorities ?? "", certificate ?? "", key ?? ""]);
  const entry = watched.get(name) ??
    { files: new WatchedFiles(paths, check, log, { validityOf }), users: 0 };
  watched.set(name, entry);
  entry.users++;
  const stop = entry.files.onChange(renew);
  return () => {
    stop();
    entry.users--;
    if (entry.users === 0) watched.delete(name);
  };
}
