import { readdirSync, readFileSync, statSync } from "node:fs";
import process from "node:process";

/**
 * What Linux tells a process about itself in /proc; `undefined` where it could not be read. Memory
 * and network in bytes.
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
 * prompts; where /proc is missing or may not be read, every value is `undefined`.
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
 * The result of `read`, or `undefined` if it throws: one source that fails must not take the other
 * metrics of a collection with it.
 */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** The virtual memory size in bytes: field 23, `vsize`, of /proc/[pid]/stat (proc_pid_stat(5)). */
export function parseVirtualMemory(stat: string): number | undefined {
  // Field 2 is the command's name in brackets, in which anything may stand, spaces and brackets
  // included.
  return toNumber(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[20]);
}

/**
 * The soft limit in the row of /proc/[pid]/limits with that name. "unlimited" becomes 2^64 - 1, as
 * far as a double can hold it: RLIM_INFINITY, which is what Go programs export.
 */
export function parseSoftLimit(limits: string, row: string): number | undefined {
  const line = limits.split("\n").find((line) => line.startsWith(row));
  const soft = line?.slice(row.length).trim().split(/\s+/)[0];
  return soft === "unlimited" ? 2 ** 64 : toNumber(soft);
}

/**
 * A counter of /proc/[pid]/net/netstat, which has a line of names and then a line of values for
 * each protocol.
 */
export function parseNetstat(netstat: string, protocol: string, name: string): number | undefined {
  const [names, values] = netstat.split("\n")
    .filter((line) => line.startsWith(`${protocol}: `))
    .map((line) => line.split(" "));
  return toNumber(values?.[names?.indexOf(name) ?? -1]);
}

/**
 * How many entries a directory of /proc such as /proc/self/fd has. Since Linux 6.2 `stat` tells,
 * which is fast with thousands of connections and works when no descriptor is left; before, the
 * size is 0 and the entries are listed, less the one that listing opens.
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
 * Whether /proc may be read without asking. Deno, started on a terminal without `--allow-read`,
 * would stop the program and ask. With permission to read it still refuses, unless it has all
 * permissions, but by an error. Queried before each read because a Deno program can give
 * permissions back.
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
