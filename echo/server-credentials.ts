import { ServerCredentials } from "@grpc/grpc-js";
import type { ServerCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";

/** A function that grpc-js wants to be called with new certificates. */
type Watcher = Parameters<ServerCredentials["_addWatcher"]>[0];

/**
 * Credentials of a grpc-js server whose certificates change with their files: connections that are
 * open stay as they are, new ones are made with the new certificates. (grpc-js has credentials with a
 * `FileWatcherCertificateProvider` too: while they have not read anything yet, and while one file is
 * new and the other is not, they close every connection.)
 */
export class WatchingServerCredentials extends ServerCredentials {
  readonly #files: WatchedFiles<ServerCertificates>;
  #stop = () => {};

  /** @param files If they have authorities, clients must show a certificate of one of them. */
  constructor(files: WatchedFiles<ServerCertificates>) {
    const { ca, cert, key } = files.value;
    // With no roots at all grpc-js would take those of GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, which Deno
    // sends to clients as if they were the certificate's chain.
    const pairs = [{ cert_chain: cert, private_key: key }];
    const fixed = ServerCredentials.createSsl(ca ?? cert, pairs, ca !== undefined);
    super(fixed._getConstructorOptions(), files.value);
    this.#files = files;
  }

  override _addWatcher(watcher: Watcher): void {
    if (this.getWatcherCount() === 0) {
      this.#stop = this.#files.onChange((value) => this.updateSecureContextOptions(value));
    }
    super._addWatcher(watcher);
  }

  override _removeWatcher(watcher: Watcher): void {
    super._removeWatcher(watcher);
    if (this.getWatcherCount() === 0) this.#stop();
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
