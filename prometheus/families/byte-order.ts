/**
 * Sorts texts as Go does, by the bytes of their UTF-8 encoding. JavaScript sorts by UTF-16 code units,
 * which differs for characters beyond U+FFFF.
 *
 * @module
 */

/**
 * Returns a sort key for several texts. JavaScript sorts the keys as Go sorts the texts: by the first
 * text, then by the second, and so on. Sorting keys needs no comparison function, which is faster.
 */
export function sortKey(texts: readonly string[]): string {
  return texts.map(keyOf).join(SEPARATOR);
}

/** Sorts before every character of a text's key. */
const SEPARATOR = "\0";

/** All characters except those from the space up to the surrogates, which are their own keys. */
const SPECIAL = /[^ -\ud7ff]/g;

function keyOf(text: string): string {
  return text.search(SPECIAL) < 0 ? text : text.replace(SPECIAL, (unit) => {
    const code = unit.charCodeAt(0);
    if (code <= 1) return code === 0 ? "\x01\x01" : "\x01\x02";
    if (code < 0xd800) return unit;
    // Surrogates encode the characters beyond U+FFFF, so they change places with U+E000 to U+FFFF.
    return String.fromCharCode(code < 0xe000 ? code + 0x2000 : code - 0x800);
  });
}

/** Compares two texts by the bytes of their UTF-8 encoding, for `sort`. */
export function compareText(a: string, b: string): number {
  const [x, y] = [keyOf(a), keyOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
