const given = new Set<string>();

/**
 * Tells the person who runs the program, once, that metrics are missing and why.
 *
 * A process warning rather than `diag`: without a `diag` logger, the default, that is silence.
 */
export function warnOnce(message: string): void {
  if (given.has(message)) return;
  given.add(message);
  process.emitWarning(message, "GrpcOpenTelemetryWarning");
}

/** Runs a piece of recording; whatever it throws ends here, as a warning, never in an RPC. */
export function shielded<T>(record: () => T): T | undefined {
  try {
    return record();
  } catch (error) {
    warnOfFailure(error);
    return undefined;
  }
}

/** Tells the person who runs the program, once, that something could not be recorded. */
export function warnOfFailure(error: unknown): void {
  warnOnce(`gRPC metrics could not be recorded: ${error}`);
}
