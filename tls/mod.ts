/**
 * TLS for gRPC servers and clients: certificates from files, read again when they change, and
 * failures in plain words.
 *
 * @module
 */
export { callFailure, channelCredentials, serverCredentials } from "../echo/credentials.ts";
export type { GrpcTlsSettings } from "../echo/credentials.ts";
