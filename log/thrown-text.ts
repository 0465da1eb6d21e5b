import { onRejection } from "./rejection.ts";

/** In UTF-16 code units. */
const MAX_LENGTH = 300;

/**
 * Describes in one line what was thrown: the first line of an error's message, or of the text of
 * anything else.
 *
 * It never throws, whatever it is given: a symbol, an object without a prototype, an error whose
 * `message` throws. Terminal escapes and other characters without a shape of their own are written as
 * escapes, as in `\u{1b}`. A rejected promise counts as handled from then on: it would end the
 * process otherwise.
 *
 * @returns 300 characters at most.
 */
export function thrownText(thrown: unknown): string {
  return describe(thrown, (value) => {
    const { message } = Object(value) as { message?: unknown };
    return typeof message === "string" && message !== "" ? message : String(value);
  });
}

/** The same as {@link thrownText}, with the name of an error: `TypeError: x is not a function`. */
export function namedThrownText(thrown: unknown): string {
  return describe(thrown, String);
}

function describe(thrown: unknown, textOf: (value: unknown) => string): string {
  try {
    onRejection(thrown, () => {});
    const [line = ""] = textOf(thrown).trimStart().split(/[\r\n]/, 1);
    return oneLine(line) || "(no text)";
  } catch {
    return "(no text)";
  }
}

/**
 * Makes one line of a text that others may have written. Control and format characters, line
 * separators and lone surrogates are written as escapes, and what is beyond a length is cut off.
 *
 * @param maxLength In UTF-16 code units, the ellipsis of a cut text included.
 */
export function oneLine(text: string, maxLength: number = MAX_LENGTH): string {
  const line = text.slice(0, maxLength + 1).replace(SHAPELESS, escaped);
  if (line.length <= maxLength) return line;
  let cut = "";
  for (const character of text) {
    const shown = character.replace(SHAPELESS, escaped);
    if (cut.length + shown.length >= maxLength) break;
    cut += shown;
  }
  return `${cut}…`;
}

/** Unicode's control and format characters, line and paragraph separators, and lone surrogates. */
const SHAPELESS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
