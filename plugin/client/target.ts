/** Schemes that gRPC's own languages register; with any other, the whole target is a DNS name. */
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
 * The `grpc.target` label of a channel: its canonical target URI, `scheme://authority/endpoint`,
 * with the scheme `dns` when the target names none (gRFC A66; where it leaves room, what grpc-go
 * prints for the same dialled string, so that one fleet in two languages has one label).
 *
 * @param dialled The target as the application gave it, e.g. `localhost:50051`.
 * @param isRegistered Whether the application registered a resolver of its own for a scheme.
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

/** Splits a target as RFC 3986 does; `undefined` if it names no scheme or is not a URI. */
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
    return undefined; // a percent sign that escapes nothing
  }
}
