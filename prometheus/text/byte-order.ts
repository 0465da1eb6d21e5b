/**
 * The order of texts in Go, which is that of the bytes of their UTF-8 forms. JavaScript's own order,
 * by UTF-16 units, differs for characters beyond U+FFFF.
 *
 * @module
 */

/**
 * Makes a key of several texts: keys are in JavaScript's order as the texts are in Go's, the first
 * texts first, then the second ones. So a sort compares two strings, which the runtime does itself.
 */
export function sortKey(texts: readonly string[]): string {
  return texts.map(keyOf).join(SEPARATOR);
}

/** Less than all that a text's own key can have. */
const SEPARATOR = "\0";

/** All but spaces, what follows them and what comes before surrogates, which stand for themselves. */
const SPECIAL = /[^ -\ud7ff]/g;

function keyOf(text: string): string {
  return text.search(SPECIAL) < 0 ? text : text.replace(SPECIAL, (unit) => {
    const code = unit.charCodeAt(0);
    if (code <= 1) return code === 0 ? "\x01\x01" : "\x01\x02";
    if (code < 0xd800) return unit;
    // Surrogates, of which the characters beyond U+FFFF are made, change places with what follows.
    return String.fromCharCode(code < 0xe000 ? code + 0x2000 : code - 0x800);
  });
}

/** Compares two texts, for `sort`. */
export function compareText(a: string, b: string): number {
  const [x, y] = [keyOf(a), keyOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
