import { ChannelCredentials } from "@grpc/grpc-js";
import type { ClientCertificates } from "../tls/certificates.ts";
import type { WatchedFiles } from "../tls/watched-files.ts";

type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;
type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/**
 * Credentials of a grpc-js channel that follow their certificate files. Open connections stay as they
 * are, and new ones use the new certificates.
 *
 * The `FileWatcherCertificateProvider` of grpc-js does the same, but its credentials stop listening
 * to a connection's errors after the handshake. If a server asks for a certificate then, the process
 * ends on Deno.
 */
export class WatchingChannelCredentials extends ChannelCredentials {
  readonly #files: WatchedFiles<ClientCertificates>;

  /** @param files the authorities that verify servers, and the client certificate, if any */
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
