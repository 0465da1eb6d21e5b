import { checkKeyPair, parseCertificates, refuseByteOrderMark } from "../../tls/pem.ts";
import { certificateValidity } from "../../tls/validity.ts";
import { type FileLog, WatchedFiles } from "../../tls/watched-files.ts";

/** Paths of PEM files; a client certificate needs its key. */
export interface OtlpFiles {
  /** CA certificates that verify the Collector's certificate. */
  readonly authorities: string | undefined;
  /** The client certificate. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** Watched files by their paths: metrics and traces may share files, which are then read once. */
const watched = new Map<string, { readonly files: WatchedFiles<void>; users: number }>();

/**
 * Calls `renew` when certificate files have new, usable contents. The SDK's exporters read their
 * files only once.
 *
 * @param log receives a line for each change, for contents that cannot be used and for certificates
 * that are not valid now
 * @returns stops watching
 * @throws {Error} if a file cannot be used now
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
