import { namedThrownText } from "../log/thrown-text.ts";

const given = new Set<string>();

/**
 * Warns the person who runs the program, once for each message. It never throws.
 *
 * A process warning rather than `diag`: without a `diag` logger, the default, that is silence.
 *
 * @param message A constant of this code: it is kept as long as the process runs.
 * @param text What is shown, the message itself unless given.
 */
export function warnOnce(message: string, text: string = message): void {
  if (given.has(message)) return;
  given.add(message);
  try {
    process.emitWarning(text, "GrpcOpenTelemetryWarning");
  } catch {
    // Only an application's own `emitWarning` throws. There is no other place to warn of that.
  }
}

/**
 * Warns once that something was thrown. The text of what was thrown is shown the first time only: it
 * may quote what a stranger sent, and would make a warning of every call.
 *
 * @param message A constant of this code, without a full stop.
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

/** Runs a piece of recording; whatever it throws ends here, as a warning, never in an RPC. */
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
