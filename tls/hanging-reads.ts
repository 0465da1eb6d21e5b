import process from "node:process";
import { isMainThread } from "node:worker_threads";

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a read after all earlier ones have settled, so that hanging reads block one thread at most. A
 * read from a network file system may hang, and blocks a thread for as long as it does. Host name
 * lookups and compression need the same few threads: Node has four, Bun one for each processor.
 */
export function readInTurn<T>(read: () => Promise<T>): Promise<T> {
  const turn = last.then(read);
  last = turn.catch(() => {});
  return turn;
}

/**
 * Works around Node, which does not exit while a read hangs in one of its threads: kills the process
 * with SIGKILL if it exits before the read has settled. Bun and Deno exit by themselves.
 *
 * @param read the hanging read
 */
export function killOnExitDuring(read: Promise<unknown>): void {
  if ("Bun" in globalThis || "Deno" in globalThis || !isMainThread) return;
  const kill = () => process.kill(process.pid, "SIGKILL");
  const settled = () => process.off("exit", kill);
  process.once("exit", kill);
  read.then(settled, settled);
}
