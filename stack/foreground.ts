import { spawn } from "node:child_process";
import { constants } from "node:os";
import { onStopSignal } from "../log/stop-signals.ts";

/** Ignores SIGPIPE, which would end a Go program when its output is closed. */
const WITHOUT_SIGPIPE = ["-c", 'trap "" PIPE; exec "$@"', "sh"];

/**
 * Runs a program as if it replaced this process: it inherits the output and receives the signal that
 * asks this process to stop. At a second signal, it is killed and this process ends.
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
  process.on("exit", () => child.kill("SIGKILL"));
  onStopSignal(
    (signal) => child.kill(signal),
    () => `${command[0]} is killed`,
    ["SIGINT", "SIGTERM", "SIGHUP"],
  );
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  });
}
