import { constants } from "node:os";

/** A signal that asks a program to stop. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** One Ctrl-C may arrive twice: from the terminal, and from npm, which passes signals on. */
const SAME_REQUEST_MS = 100;

/**
 * Stops a program at the first signal, and ends the process at once at a second one. The exit code
 * is then 128 plus the signal's number, as a shell reports it. Signals within 100 ms count as one.
 *
 * @param stop called with the first signal
 * @param lost returns what a sudden end loses, for one line on standard error
 * @param signals the signals to handle, by default SIGINT and SIGTERM
 */
export function onStopSignal(
  stop: (signal: StopSignal) => void,
  lost: () => string,
  signals: readonly StopSignal[] = ["SIGINT", "SIGTERM"],
): void {
  let firstMs: number | undefined;
  const onSignal = (signal: StopSignal) => {
    if (firstMs === undefined) {
      firstMs = performance.now();
      stop(signal);
    } else if (performance.now() - firstMs > SAME_REQUEST_MS) {
      console.error(`${signal} again, ends at once: ${lost()}`);
      process.exit(128 + constants.signals[signal]);
    }
  };
  for (const signal of signals) process.on(signal, () => onSignal(signal));
}
