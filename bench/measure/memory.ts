import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The resident memory of a process, in units of 1,000,000 bytes. */
export async function residentMegabytes(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", `${pid}`]);
  return Number(stdout) * 1024 / 1e6;
}
