/**
 * Which host names requests may ask for. A web page can point a name of its own at a loopback
 * address and then read, through its visitor's browser, what listens there (DNS rebinding). The
 * request's Host header still has the page's name.
 *
 * @module
 */

import { isIP } from "node:net";

/** In a list of host names: every name. */
const ANY = "*";

/** Decides whether a request with this Host header may be answered. */
export type HostCheck = (header: string | undefined) => boolean;

/**
 * Makes the check of an endpoint. Addresses and names of the local network are always allowed: a
 * page cannot have them as its name. Without a list, an endpoint on loopback allows no other name
 * than the one that it was told to listen on, and an endpoint on another address allows every name.
 *
 * @param host the name or address that the endpoint was told to listen on
 * @param address the IP address that it is bound to
 * @param allowed names without ports, for example `metrics.example.com`; `*` is every name
 */
export function hostCheck(
  host: string,
  address: string,
  allowed: readonly string[] | undefined,
): HostCheck {
  const names = new Set([host, ...allowed ?? []].map((name) => name.toLowerCase()));
  if (names.has(ANY) || (allowed === undefined && !isLoopback(address))) return () => true;
  return (header) => {
    // HTTP/1.0 has requests without a Host header; no browser sends them.
    if (header === undefined) return true;
    const name = hostName(header);
    return name !== undefined && (isLocal(name) || names.has(name));
  };
}

/** Returns whether a name or address is of this host alone: 127.0.0.0/8, ::1 or `localhost`. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === "localhost" || host === "::1" ||
    /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host);
}

/**
 * Whether nobody can register this name: it is an address, has no dot, as names of hosts, containers
 * and services have none, or is in `localhost`, which is loopback's own (RFC 6761).
 */
function isLocal(name: string): boolean {
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".localhost");
}

/** The name or address of a Host header, in lower case; undefined if the header is malformed. */
function hostName(header: string): string | undefined {
  const url = `http://${header}`;
  if (header === "" || !URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}
