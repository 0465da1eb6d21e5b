import { credentials, ServerCredentials } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { StartupError } from "../telemetry/settings/read.ts";
import type { Settings } from "./settings.ts";
import { watchClientCertificates, watchServerCertificates } from "../tls/certificates.ts";
import { WatchingChannelCredentials } from "./channel-credentials.ts";
import { connectionFailure, tlsFailureReason } from "../tls/connection-failure.ts";
import type { TlsSettingNames } from "../tls/connection-failure.ts";
import { WatchingServerCredentials } from "./server-credentials.ts";

/** The settings of TLS for gRPC. */
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

/** Prints lines about files on standard error, because replies go to standard output. */
const log = {
  info: (line: string) => console.error(line),
  warn: (line: string) => console.error(line),
};

/**
 * Creates a server's credentials: TLS if there is a certificate, with client certificates if
 * `GRPC_TLS_CLIENT_AUTH` requires them.
 *
 * @throws {StartupError} if `GRPC_TLS_CA` is set without a certificate, so that no server starts
 * without TLS by mistake
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
 * Creates a client's credentials: TLS if `GRPC_TLS_CA` has authorities that verify the server's
 * certificate.
 *
 * @throws {StartupError} if there is a client certificate, but no authority
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
 * Explains why a call failed, and which setting to change if no TLS connection could be made.
 *
 * @param details the text of the call's status
 */
export function callFailure(details: string, { GRPC_TLS_CA }: GrpcTlsSettings): string {
  if (GRPC_TLS_CA === undefined || !details.startsWith("No connection established.")) {
    return details;
  }
  return `cannot connect: ${tlsFailureReason(connectionFailure(details), NAMES)}`;
}
