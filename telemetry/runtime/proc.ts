import { readdirSync, readFileSync, statSync } from "node:fs";
import process from "node:process";

/**
 * Values from /proc on Linux, undefined if they cannot be read. Memory and network are in bytes.
 */
export interface ProcReading {
  virtualMemory: number | undefined;
  maxVirtualMemory: number | undefined;
  openFds: number | undefined;
  maxFds: number | undefined;
  networkReceived: number | undefined;
  networkTransmitted: number | undefined;
}

/**
 * Reads /proc/self: four small synchronous reads, about 0.1 ms together. Never throws and never
 * prompts. Every value is undefined if /proc is missing or may not be read.
 */
export function readProc(): ProcReading {
  const readable = procReadable();
  const source = <T>(read: () => T): T | undefined => readable ? attempt(read) : undefined;
  const text = (file: string): string => source(() => readFileSync(file, "utf8")) ?? "";
  const limits = text("/proc/self/limits");
  const netstat = text("/proc/self/net/netstat");
  return {
    virtualMemory: parseVirtualMemory(text("/proc/self/stat")),
    maxVirtualMemory: parseSoftLimit(limits, "Max address space"),
    openFds: source(() => countEntries("/proc/self/fd")),
    maxFds: parseSoftLimit(limits, "Max open files"),
    networkReceived: parseNetstat(netstat, "IpExt", "InOctets"),
    networkTransmitted: parseNetstat(netstat, "IpExt", "OutOctets"),
  };
}

/**
 * Returns the result of `read`, or undefined if it throws, so that one source that fails does not
 * fail the other metrics of a collection.
 */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * Returns the virtual memory size in bytes: field 23, `vsize`, of /proc/[pid]/stat
 * (proc_pid_stat(5)).
 */
export function parseVirtualMemory(stat: string): number | undefined {
  // Field 2 is the command's name in brackets, which may contain spaces and brackets itself.
  return toNumber(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[20]);
}

/**
 * Returns the soft limit in a row of /proc/[pid]/limits. "unlimited" becomes RLIM_INFINITY, which is
 * 2^64 - 1 as near as a double can hold it; Go programs export the same.
 */
export function parseSoftLimit(limits: string, row: string): number | undefined {
  const line = limits.split("\n").find((line) => line.startsWith(row));
  const soft = line?.slice(row.length).trim().split(/\s+/)[0];
  return soft === "unlimited" ? 2 ** 64 : toNumber(soft);
}

/**
 * Returns a counter of /proc/[pid]/net/netstat, which has a line of names and then a line of values
 * for each protocol.
 */
export function parseNetstat(netstat: string, protocol: string, name: string): number | undefined {
  const [names, values] = netstat.split("\n")
    .filter((line) => line.startsWith(`${protocol}: `))
    .map((line) => line.split(" "));
  return toNumber(values?.[names?.indexOf(name) ?? -1]);
}

/**
 * Counts the entries of a directory such as /proc/self/fd. Since Linux 6.2 its size is that count:
 * `stat` is fast with thousands of connections, and works when no descriptor is left. Before Linux
 * 6.2 the size is 0, so the entries are listed, less the one that listing opens.
 *
 * @throws the file system's error if the directory cannot be read
 */
export function countEntries(directory: string): number {
  return statSync(directory).size || readdirSync(directory).length - 1;
}

interface DenoPermissions {
  permissions: { querySync(query: { name: "read"; path: string }): { state: string } };
}

/**
 * Returns whether /proc can be read without a prompt. On a terminal, Deno without `--allow-read`
 * stops the program and asks. With permission to read, it still refuses unless it has all
 * permissions, but with an error. Queried before each read because a Deno program can revoke its own
 * permissions.
 */
function procReadable(): boolean {
  if (process.platform !== "linux") return false;
  const deno = (globalThis as { Deno?: DenoPermissions }).Deno;
  if (deno === undefined) return true;
  return deno.permissions.querySync({ name: "read", path: "/proc" }).state === "granted";
}

function toNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
