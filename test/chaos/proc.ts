import { readFileSync } from "node:fs";

/** Ids of the processes that a process started and that run, as Linux tells. */
export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? [] : children.split(" ").map(Number);
}
