import { spawn } from "node:child_process";
import { constants } from "node:os";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Go ends a program with SIGPIPE when nobody reads its output, unless the signal is ignored before. */
const WITHOUT_SIGPIPE = ["-c", 'trap "" PIPE; exec "$@"', "sh"];

/**
 * Runs a program in place of this process, as far as that can be done: its output goes where ours
 * goes, the signals that we get it gets.
 *
 * @returns Its exit code; after a signal 128 and the signal's number, as a shell has it.
 * @throws {Error} when it cannot be started.
 */
export async function runInForeground(command: readonly string[]): Promise<number> {
  // In its own process group, or Ctrl-C would reach it twice: from the terminal and from us.
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
