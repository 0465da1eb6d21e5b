import { Buffer } from "node:buffer";

/**
 * Replaces each half of a character beyond U+FFFF that stands alone by U+FFFD, as its encoding in
 * UTF-8 does anyway. Texts that differ only there would leave the process as the same text.
 */
export function wellFormed(text: string): string {
  return isWellFormed(text) ? text : Buffer.from(text).toString();
}

/** Returns whether a text has no half of a character that stands alone. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
