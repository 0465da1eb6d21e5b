import type { DiagLogger } from "@opentelemetry/api";
import { inspect } from "node:util";
import { withoutOutputErrors } from "../log/output.ts";
import { namedThrownText, oneLine, thrownText } from "../log/thrown-text.ts";
import type { FileLog } from "../tls/watched-files.ts";
import { RepeatedLines } from "./repeated-lines.ts";

/** Longest text of one part of a message, in UTF-16 code units. */
const MAX_TEXT = 2000;

/** Prints on standard error, or nothing if standard error cannot be written to. */
export function log(...message: unknown[]): void {
  withoutOutputErrors(process.stderr, () => console.error(...message));
}

/** Reports changes of certificate files. */
export const fileLog: FileLog = { info: log, warn: log };

/**
 * Prints each message of OpenTelemetry's own log in one line. Never throws. Errors and warnings of one
 * kind are printed once in an hour: the SDK repeats some of them for each span or export.
 */
export const diagLog: DiagLogger = {
  error: (...message) => logOnce("OpenTelemetry error:", message),
  warn: (...message) => logOnce("OpenTelemetry warning:", message),
  info: (...message) => log("OpenTelemetry:", ...message.map(textOf)),
  debug: (...message) => log("OpenTelemetry debug:", ...message.map(textOf)),
  verbose: (...message) => log("OpenTelemetry verbose:", ...message.map(textOf)),
};

const repeatedLines = new RepeatedLines();

function logOnce(level: string, message: unknown[]): void {
  const line = repeatedLines.shown(message.map(textOf).join(" "));
  if (line !== undefined) log(level, line);
}

/** Returns one part of a message as text: a peer may have chosen it, or it may be any value. */
function textOf(part: unknown): string {
  if (typeof part === "string") return oneLine(part, MAX_TEXT);
  try {
    if (part instanceof Error || part instanceof Promise) return namedThrownText(part);
    return oneLine(inspect(part, { breakLength: Infinity }), MAX_TEXT);
  } catch {
    return thrownText(part);
  }
}
