import type { Attributes } from "@opentelemetry/api";

/** The port of a name without one (gRPC name resolution, `dns`). */
const DEFAULT_PORT = 443;

/** A host name or an IPv4 address, or an IPv6 address in brackets, perhaps with a port. */
const HOST = /^(?:\[([^[\]/,]+)\]|([^[\]/,:]+))(?::(\d{1,5}))?$/;

/**
 * Returns `server.address` and `server.port` of a channel's canonical target, as the OpenTelemetry
 * conventions for gRPC take them apart. A target that does not name one host or one socket is the
 * address as a whole, without a port.
 */
export function serverAddress(target: string): Attributes {
  const endpoint = /^dns:\/\/[^/]*\/(.+)$/s.exec(target)?.[1];
  if (endpoint !== undefined) return hostAndPort(endpoint, target);
  const socket = /^unix:\/\/[^/]*(\/.+)$/s.exec(target)?.[1];
  return { "server.address": socket ?? target };
}

function hostAndPort(endpoint: string, target: string): Attributes {
  // The canonical form of grpc-js's own schemes begins like that of a name.
  const [, scheme, addresses = endpoint] = /^(ipv[46]):(.+)$/s.exec(endpoint) ?? [];
  const [matched, bracketed, plain, port = DEFAULT_PORT] = HOST.exec(addresses) ?? [];
  if (matched === undefined) {
    return { "server.address": scheme === undefined ? target : endpoint };
  }
  return { "server.address": bracketed ?? plain, "server.port": Number(port) };
}
