import { spawn } from "node:child_process";
import { constants } from "node:os";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ignores SIGPIPE, which would end a Go program when its output is closed. */
const WITHOUT_SIGPIPE = ["-c", 'trap "" PIPE; exec "$@"', "sh"];

/**
 * Runs a program as if it replaced this process: it inherits the output and receives the signals
 * that this process gets.
 *
 * @returns The program's exit code, or 128 plus the signal's number, like a shell.
 * @throws {Error} when the program does not start.
 */
export async function runInForeground(command: readonly string[]): Promise<number> {
  // Its own process group. Otherwise Ctrl-C reaches it both from the terminal and from here.
  const child = spawn("/bin/sh", [...WITHOUT_SIGPIPE, ...command], {
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
    });
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
