import { ServerCredentials } from "@grpc/grpc-js";
import type { ServerCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";

/** A function that receives new certificates from grpc-js. */
type Watcher = Parameters<ServerCredentials["_addWatcher"]>[0];

/**
 * Credentials of a grpc-js server that follow their certificate files. Open connections stay as they
 * are, and new ones use the new certificates.
 *
 * The `FileWatcherCertificateProvider` of grpc-js does the same, but its credentials close every
 * connection before they have read the files, and while only one of the two files is new.
 */
export class WatchingServerCredentials extends ServerCredentials {
  readonly #files: WatchedFiles<ServerCertificates>;
  #stop = () => {};

  /** @param files if they have authorities, clients must show a certificate of one of them */
  constructor(files: WatchedFiles<ServerCertificates>) {
    const { ca, cert, key } = files.value;
    // Without roots, grpc-js uses those of GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, and Deno sends them to
    // clients as if they were the certificate's chain.
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
