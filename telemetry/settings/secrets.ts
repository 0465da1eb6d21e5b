/** The paths that OTLP gives its signals (OTLP exporter specification). */
const SIGNAL_PATH = /^\/v1\/(metrics|traces)$/;

/**
 * Returns what can be shown of a URL: scheme, host and port as the parser has them, and a path of
 * OTLP. Any other part may hold a secret. In `http://user:12/secret@host` it is the path, because the
 * "/" ends the host.
 *
 * @throws {TypeError} if it is not a URL
 */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return SIGNAL_PATH.test(pathname) ? `${origin}${pathname}` : origin;
}

/** What a URL without a secret looks like: `http://localhost`, `https://[::1]:4318`. */
const PLAIN_URL = /^[a-z][a-z\d+.-]*:\/\/([\w.-]*|\[[\da-f:.]*\])(:\d{1,5})?$/i;

/**
 * Tells whether a value that is no URL looks like a URL or a header with a secret in it, which a
 * person may have given to the wrong variable.
 */
export function looksSecret(value: string): boolean {
  return !PLAIN_URL.test(value) && /[@=?#/\\]/.test(value);
}

/** Tells the same of `key=value` pairs, which have equals signs in any case. */
export function pairsLookSecret(pairs: string): boolean {
  return pairs.split(/[=,]/).some(looksSecret);
}
