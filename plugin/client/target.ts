/** The schemes that gRPC registers. A target with any other scheme is a DNS name as a whole. */
const WELL_KNOWN_SCHEMES: ReadonlySet<string> = new Set([
  "dns",
  "passthrough",
  "unix",
  "unix-abstract",
  "xds",
]);

interface Target {
  readonly scheme: string;
  readonly authority: string;
  readonly endpoint: string;
}

/**
 * Returns the `grpc.target` label of a channel: its canonical target URI,
 * `scheme://authority/endpoint`, with the scheme `dns` if the target has none (gRFC A66).
 *
 * Where the gRFC leaves room, the label is what grpc-go records for the same string, so that a fleet
 * in two languages has one label.
 *
 * @example
 * ```ts
 * canonicalTarget("localhost:50051"); // "dns:///localhost:50051"
 * ```
 *
 * @param dialled The target as the application passed it, such as `localhost:50051`.
 * @param isRegistered Whether the application registered its own resolver for a scheme.
 */
export function canonicalTarget(
  dialled: string,
  isRegistered: (scheme: string) => boolean = () => false,
): string {
  const target = parseTarget(dialled);
  if (
    target !== undefined &&
    (WELL_KNOWN_SCHEMES.has(target.scheme) || isRegistered(target.scheme))
  ) {
    return `${target.scheme}://${target.authority}/${target.endpoint}`;
  }
  return `dns:///${parseTarget(`dns:///${dialled}`)?.endpoint ?? dialled}`;
}

/** Splits a target as in RFC 3986. Returns undefined if it has no scheme or is not a URI. */
function parseTarget(uri: string): Target | undefined {
  const match = /^([a-z][a-z0-9+.-]*):([^?#]*)/i.exec(uri);
  if (match === null) return undefined;
  const [, scheme = "", rest = ""] = match;
  const lowerCased = scheme.toLowerCase();
  if (!rest.startsWith("/")) {
    return { scheme: lowerCased, authority: "", endpoint: rest };
  }

  const [, authority = "", path = ""] = /^(?:\/\/([^/]*))?(.*)$/s.exec(rest) ??
    [];
  try {
    return {
      scheme: lowerCased,
      authority,
      endpoint: decodeURIComponent(path).replace(/^\//, ""),
    };
  } catch {
    return undefined; // a percent sign that is not part of an escape
  }
}
