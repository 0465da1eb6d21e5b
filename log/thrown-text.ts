import { onRejection } from "./rejection.ts";

/** The longest text that is returned by default, in UTF-16 code units. */
const MAX_LENGTH = 300;

/**
 * Describes a thrown value in one line: the first line of an error's message, or of the text of any
 * other value.
 *
 * Never throws, whatever the value: a symbol, an object without a prototype, an error whose
 * `message` throws. Terminal escapes and other invisible characters are escaped, for example
 * `\u{1b}`. If the value is a promise, its rejection counts as handled from then on, because it
 * would end the process otherwise.
 *
 * @returns at most 300 UTF-16 code units; `(no text)` if the value has none
 */
export function thrownText(thrown: unknown): string {
  return describe(thrown, (value) => {
    const { message } = Object(value) as { message?: unknown };
    return typeof message === "string" && message !== "" ? message : String(value);
  });
}

/** Like {@link thrownText}, with an error's name: `TypeError: x is not a function`. */
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
 * Turns a text from an untrusted source into one short line: escapes control and format characters,
 * line separators and lone surrogates, and cuts a long text.
 *
 * @param maxLength the longest result in UTF-16 code units, including the ellipsis of a cut text
 */
export function oneLine(text: string, maxLength: number = MAX_LENGTH): string {
  const line = text.slice(0, maxLength + 1).replace(INVISIBLE, escaped);
  if (line.length <= maxLength) return line;
  let cut = "";
  for (const character of text) {
    const shown = character.replace(INVISIBLE, escaped);
    if (cut.length + shown.length >= maxLength) break;
    cut += shown;
  }
  return `${cut}…`;
}

/** Unicode's control and format characters, line and paragraph separators, and lone surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
