/**
 * A text that can be shown: what URLs in it hold of user names, passwords and queries, where some
 * services expect an API key, is left out.
 */
export function withoutSecrets(text: string): string {
  return text.replace(/:\/\/[^/?#]*@/g, "://***@").replace(/(:\/\/[^?]*\?).*/s, "$1***");
}
