import { credentials, ServerCredentials } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { StartupError } from "../telemetry/settings/read.ts";
import type { Settings } from "./settings.ts";
import { watchClientCertificates, watchServerCertificates } from "../tls/certificates.ts";
import { WatchingChannelCredentials } from "./channel-credentials.ts";
import { connectionFailure, tlsFailureReason } from "../tls/connection-failure.ts";
import type { TlsSettingNames } from "../tls/connection-failure.ts";
import { WatchingServerCredentials } from "./server-credentials.ts";

/** What the environment says of TLS for gRPC. */
export type GrpcTlsSettings = Pick<
  Settings,
  "GRPC_TLS_CERT" | "GRPC_TLS_KEY" | "GRPC_TLS_CA" | "GRPC_TLS_CLIENT_AUTH"
>;

const NAMES: TlsSettingNames = {
  authority: "GRPC_TLS_CA",
  clientCertificate: "GRPC_TLS_CERT",
  address: "ECHO_ADDR",
  withoutTls: "leave out GRPC_TLS_CA",
};

/** Replies go to standard output: lines about files don't. */
const log = {
  info: (line: string) => console.error(line),
  warn: (line: string) => console.error(line),
};

/**
 * A server's credentials: TLS if there is a certificate, with certificates of its clients if that is
 * wanted.
 *
 * @throws {StartupError} if there are settings for TLS, but no certificate: nobody who sets them means
 *   a server without
 */
export function serverCredentials(settings: GrpcTlsSettings): ServerCredentials {
  const { GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA, GRPC_TLS_CLIENT_AUTH } = settings;
  if (GRPC_TLS_CERT !== undefined && GRPC_TLS_KEY !== undefined) {
    const identity = { certificate: GRPC_TLS_CERT, key: GRPC_TLS_KEY };
    const clientCa = GRPC_TLS_CLIENT_AUTH ? GRPC_TLS_CA : undefined;
    return new WatchingServerCredentials(watchServerCertificates(identity, clientCa, log));
  }
  if (GRPC_TLS_CA !== undefined) {
    throw new StartupError(
      `GRPC_TLS_CA=${JSON.stringify(GRPC_TLS_CA)}: a server with TLS needs GRPC_TLS_CERT and ` +
        "GRPC_TLS_KEY",
    );
  }
  return ServerCredentials.createInsecure();
}

/**
 * A client's credentials: TLS if there are authorities that the server's certificate is checked
 * against.
 *
 * @throws {StartupError} if there is a certificate to show, but no such authority
 */
export function channelCredentials(settings: GrpcTlsSettings): ChannelCredentials {
  const { GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA } = settings;
  const identity = GRPC_TLS_CERT !== undefined && GRPC_TLS_KEY !== undefined
    ? { certificate: GRPC_TLS_CERT, key: GRPC_TLS_KEY }
    : undefined;
  if (GRPC_TLS_CA !== undefined) {
    return new WatchingChannelCredentials(watchClientCertificates(GRPC_TLS_CA, identity, log));
  }
  if (identity !== undefined) {
    throw new StartupError(
      `GRPC_TLS_CERT=${JSON.stringify(GRPC_TLS_CERT)}: a client with TLS needs GRPC_TLS_CA, the ` +
        "authority of the server's certificate",
    );
  }
  return credentials.createInsecure();
}

/**
 * Why a call failed, in words for whoever can mend it if no connection could be made with TLS.
 *
 * @param details The text of the call's status.
 */
export function callFailure(details: string, { GRPC_TLS_CA }: GrpcTlsSettings): string {
  if (GRPC_TLS_CA === undefined || !details.startsWith("No connection established.")) {
    return details;
  }
  return `cannot connect: ${tlsFailureReason(connectionFailure(details), NAMES)}`;
}
