import { ChannelCredentials } from "@grpc/grpc-js";
import type { ClientCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";

type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;
type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/**
 * Credentials of a grpc-js channel whose certificates change with their files: connections that are
 * open stay as they are, new ones are made with the new certificates. (grpc-js has credentials with a
 * `FileWatcherCertificateProvider` too: they stop listening to a connection's errors when its
 * handshake is over, so that a server which then asks for a certificate ends a process on Deno.)
 */
export class WatchingChannelCredentials extends ChannelCredentials {
  readonly #files: WatchedFiles<ClientCertificates>;

  /** @param files The authorities of servers, and what is shown to a server that asks for it. */
  constructor(files: WatchedFiles<ClientCertificates>) {
    super();
    this.#files = files;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...args: ConnectorArguments): Connector {
    const create = ({ ca, key, cert }: ClientCertificates) =>
      ChannelCredentials.createSsl(ca, key, cert)._createSecureConnector(...args);
    let current = create(this.#files.value);
    const stop = this.#files.onChange((value) => current = create(value));
    return {
      connect: (socket) => current.connect(socket),
      waitForReady: () => current.waitForReady(),
      getCallCredentials: () => current.getCallCredentials(),
      destroy: stop,
    };
  }
}
