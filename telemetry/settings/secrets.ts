/** The paths of OTLP for its signals (OTLP exporter specification). */
const SIGNAL_PATH = /^\/v1\/(metrics|traces)$/;

/**
 * Returns the parts of a URL that are safe to print: scheme, host and port as parsed, and the path if
 * it is one of OTLP's. Any other part may hold a secret. In `http://user:12/secret@host` that is the
 * path, because the "/" ends the host. The path of a Unix socket is no secret.
 *
 * @throws {TypeError} if it is not a URL
 */
export function withoutSecrets(url: string): string {
  const { origin, pathname, protocol } = new URL(url);
  if (protocol === "unix:") return url;
  return SIGNAL_PATH.test(pathname) ? `${origin}${pathname}` : origin;
}

/** What a URL without a secret looks like: `http://localhost`, `https://[::1]:4318`. */
const PLAIN_URL = /^[a-z][a-z\d+.-]*:\/\/([\w.-]*|\[[\da-f:.]*\])(:\d{1,5})?$/i;

/**
 * Returns whether a value looks like a URL or a header with a secret in it, which a person may have
 * put into the wrong variable.
 */
export function looksSecret(value: string): boolean {
  return !PLAIN_URL.test(value) && /[@=?#/\\]/.test(value);
}

/** Like {@link looksSecret}, for methods, which always have slashes. */
export function methodsLookSecret(methods: string): boolean {
  return methods.includes("://") || methods.split(/[/,]/).some(looksSecret);
}

/** Like {@link looksSecret}, for `key=value` pairs, which always have equals signs. */
export function pairsLookSecret(pairs: string): boolean {
  return pairs.split(/[=,]/).some(looksSecret);
}
