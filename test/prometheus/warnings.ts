// Collects what the code under test logs through OpenTelemetry's diagnostic logger.

import { diag, DiagLogLevel } from "@opentelemetry/api";

/** Runs an action and returns the warnings and errors that it logged. */
export async function warningsOf(action: () => unknown): Promise<string[]> {
  const warnings: string[] = [];
  const keep = (message: string) => void warnings.push(message);
  const ignore = () => {};
  const logger = { error: keep, warn: keep, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  try {
    await action();
  } finally {
    diag.disable();
  }
  return warnings;
}
