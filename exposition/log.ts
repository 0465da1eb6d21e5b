import { diag } from "@opentelemetry/api";

/**
 * OpenTelemetry's `diag` with an application's logger shielded: when the logger throws, the line is
 * lost and nothing else.
 */
export const log = {
  error: (line: string) => attempt(() => diag.error(line)),
  warn: (line: string) => attempt(() => diag.warn(line)),
  info: (line: string) => attempt(() => diag.info(line)),
  debug: (line: string) => attempt(() => diag.debug(line)),
};

function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // There is nowhere left to report to.
  }
}
