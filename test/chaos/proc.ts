/**
 * What Linux reports about processes in `/proc`.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";

/** Returns whether a process exists. */
export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Returns the ids of the running child processes of a process. */
export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? [] : children.split(" ").map(Number);
}

/** Counts the open file descriptors of a process, sockets included. */
export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
