import process from "node:process";
import { isMainThread } from "node:worker_threads";

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a read when those before it are over. A read from a network file system may hang and keeps a
 * thread as long as it does; the runtimes have few, which host names and compression need too: Node
 * four, Bun one for each processor.
 */
export function inTurn<T>(read: () => Promise<T>): Promise<T> {
  const turn = last.then(read);
  last = turn.catch(() => {});
  return turn;
}

/**
 * Ends the process with SIGKILL if it is to exit while a read hangs. Node would wait for the read's
 * thread for ever; Bun and Deno do not.
 *
 * @param read The read that hangs, until it settles.
 */
export function exitDespite(read: Promise<unknown>): void {
  if ("Bun" in globalThis || "Deno" in globalThis || !isMainThread) return;
  const end = () => process.kill(process.pid, "SIGKILL");
  const settled = () => process.off("exit", end);
  process.once("exit", end);
  read.then(settled, settled);
}
