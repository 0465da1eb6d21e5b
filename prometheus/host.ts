/**
 * Checks the Host header of requests, against DNS rebinding: a web page can point its own name at a
 * loopback address, and then use a visitor's browser to read from a server on that address. The Host
 * header of such a request still has the page's name.
 *
 * @module
 */

import { isIP } from "node:net";

/** The entry in a list of host names that allows every name. */
const ANY = "*";

/** Returns whether a request with this Host header may be answered. */
export type HostCheck = (header: string | undefined) => boolean;

/**
 * Creates the check for an endpoint. IP addresses and names of the local network are always allowed,
 * because no web page can have them as its name. So are the name to listen on and the names of the
 * list. Without a list, an endpoint on an address other than loopback allows every name.
 *
 * @param host the name or address to listen on, as configured
 * @param address the IP address that the endpoint is bound to
 * @param allowed names without ports, for example `metrics.example.com`; `*` allows every name
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

/** Returns whether a name or address is loopback: 127.0.0.0/8, ::1 or `localhost`. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === "localhost" || host === "::1" ||
    /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host);
}

/**
 * Returns whether nobody can register this name on the internet: it is an IP address, it has no dot
 * (hosts, containers and services in local networks), or it is in `localhost` (RFC 6761).
 */
function isLocal(name: string): boolean {
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".localhost");
}

/** Returns the lower-case name or address in a Host header, or undefined if it is malformed. */
function hostName(header: string): string | undefined {
  const url = `http://${header}`;
  if (header === "" || !URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}
