import { namedThrownText } from "../log/thrown-text.ts";
import { shared } from "./shared-state.ts";

const given = shared("warnings", () => new Set<string>());

/**
 * Emits a process warning, once for each message. Never throws.
 *
 * OpenTelemetry's `diag` is no alternative: by default it has no logger and prints nothing.
 *
 * @param message Identifies the warning. A constant, because it stays in memory.
 * @param text The text to print. Defaults to `message`.
 */
export function warnOnce(message: string, text: string = message): void {
  if (given.has(message)) return;
  given.add(message);
  try {
    process.emitWarning(text, "GrpcOpenTelemetryWarning");
  } catch {
    // Only an `emitWarning` that the application replaced can throw. There is no other way to warn.
  }
}

/**
 * Warns once that something was thrown. Shows the text of the first thrown value only: the text may
 * quote what a peer sent, so it would turn every call into a new warning.
 *
 * @param message A constant, without a full stop.
 */
export function warnOfThrown(message: string, thrown: unknown): void {
  warnOnce(message, `${message}: ${namedThrownText(thrown)}`);
}

/** Warns once that metrics could not be recorded. */
export function warnOfFailure(thrown: unknown): void {
  warnOfThrown("gRPC metrics could not be recorded", thrown);
}

/** Warns once that spans could not be recorded. */
export function warnOfSpanFailure(thrown: unknown): void {
  warnOfThrown("gRPC spans could not be recorded", thrown);
}

/** Runs `record` and returns its result. Turns anything it throws into a warning, so calls go on. */
export function shielded<T>(
  record: () => T,
  warn: (thrown: unknown) => void = warnOfFailure,
): T | undefined {
  try {
    return record();
  } catch (error) {
    warn(error);
    return undefined;
  }
}
