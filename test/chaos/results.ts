import type { InjectedFault } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import { lost } from "./ledger.ts";
import type { Difference } from "./ledger.ts";
import type { SupervisedProgram } from "./supervised-program.ts";
import type { ScriptPair } from "./script-pair.ts";
import type { Runtime } from "../support/script.ts";
import { RUNTIMES } from "./worker-process.ts";
import type { MemorySample, Role, Worker } from "./worker-process.ts";

/** The measurements of one runtime. */
export interface RuntimeResults {
  readonly runtime: Runtime;
  /** Calls that its clients ended. */
  readonly sent: number;
  /** Calls that its servers answered. */
  readonly served: number;
  readonly clientsKilled: number;
  readonly serversKilled: number;
  readonly resets: number;
  /** Calls that were compared: those of the processes that ran to the end, by their own counts. */
  readonly compared: number;
  /** Compared calls that Prometheus misses, or shows though they were not made. */
  readonly lost: number;
  /** The longest time that a killed server did not answer, in seconds. */
  readonly unavailableS: number;
  /** The same for a server that was not killed; only its connections were reset. */
  readonly unavailableAliveS: number;
  readonly scrapes: number;
  readonly scrapesFailed: number;
  /** The longest time between two answered scrapes of a running process, in seconds. */
  readonly withoutScrapeS: number;
  /** Heap growth of the processes that were never killed, in KB/s. */
  readonly heapSlope: Readonly<Record<Role, number>>;
  /** The first and the last memory sample of those processes. */
  readonly memory: Readonly<Record<Role, readonly [MemorySample, MemorySample]>>;
  /** Open files of its workers before the first and after the last call, by process. */
  readonly files: Readonly<Record<string, readonly [number, number]>>;
}

/** The measurements of a run. */
export interface Results {
  readonly seed: number;
  readonly seconds: number;
  readonly runtimes: readonly RuntimeResults[];
  /** Calls of `client.ts`. */
  readonly scriptCalls: number;
  /** How often each kind of fault was injected. */
  readonly faults: Readonly<Record<string, number>>;
  /** Whether the disk could be filled, which needs root and a loop device. */
  readonly diskFilled: boolean;
  /** How often the agent could not write to its queue because the disk was full. */
  readonly writesRefused: number;
  readonly differences: readonly Difference[];
  /** Everything that went wrong, each described in one line or more. */
  readonly failures: readonly string[];
}

/** What {@link summarize} needs to know about a run. */
export interface Evidence {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: readonly InjectedFault[];
  readonly diskFilled: boolean;
  readonly fleet: Fleet;
  readonly scripts: ScriptPair;
  readonly scriptCalls: number;
  /** The Collectors and Prometheus. */
  readonly backends: readonly SupervisedProgram[];
  readonly agent: SupervisedProgram;
  readonly differences: readonly Difference[];
  /** How programs ended at the end of the run, `name: exit code 0`. */
  readonly endings: readonly string[];
}

/**
 * How many more files may be open at the end than at the start. Sockets of scrapes and to the
 * Collector come and go, and Deno opens some files when it first serves. A leak would grow with every
 * fault, and exceed this.
 */
const SPARE_FILES = 8;
/** How much a heap may grow from its first sample to its last, in bytes. */
const SPARE_HEAP = 10e6;
/** What the agent logs when its disk is full. */
const NO_ROOM = /Rejecting data.*no space left on device/;
/** Lines on standard error that are no failure. */
const EXPECTED_ERROR_LINES = [
  // The Collector is away, and back again.
  /^telemetry: (metrics cannot be delivered to .*|.* again, after .* points? (was|were) late)$/,
  // Deno's framed notice, once for each folder, that it runs no install scripts.
  /^[╭│╰]/,
];

/** Computes the results of a run, including its failures. */
export function summarize(evidence: Evidence): Results {
  const { seed, seconds, faults, fleet, scripts, backends, differences, endings } = evidence;
  const programs = [
    ...fleet.workers.flatMap((worker) => worker.supervised.programs),
    ...scripts.programs,
  ];
  const runtimes = RUNTIMES.map((runtime) => ofRuntime(runtime, evidence));
  const writesRefused = evidence.agent.programs
    .flatMap(({ errorLines }) => errorLines.filter((line) => NO_ROOM.test(line))).length;
  const failures = [
    ...differences.map(({ process, what, own, shown }) =>
      `${process}: ${what}: ${own} by its own count, ${shown} in Prometheus`
    ),
    ...[...backends, ...fleet.workers.map(({ supervised }) => supervised)].flatMap(({ crashes }) =>
      crashes
    ),
    ...endings.filter((ending) => !ending.endsWith(": exit code 0")),
    ...programs.flatMap(({ name, errorLines }) =>
      errorLines.filter(isUnexpected).map((line) => `${name}: ${line}`)
    ),
    ...fleet.workers.flatMap(({ name, scrapers }) =>
      scrapers.flatMap(({ failures }) => failures.map((failure) => `${name}: ${failure}`))
    ),
    ...runtimes.flatMap(leaks),
    ...(evidence.diskFilled && writesRefused === 0
      ? ["The full disk never refused a write of the agent"]
      : []),
  ];
  return {
    seed,
    seconds,
    runtimes,
    scriptCalls: evidence.scriptCalls,
    faults: countKinds(faults),
    diskFilled: evidence.diskFilled,
    writesRefused,
    differences,
    failures,
  };
}

function isUnexpected(line: string): boolean {
  return !EXPECTED_ERROR_LINES.some((expected) => expected.test(line));
}

function countKinds(faults: readonly InjectedFault[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function ofRuntime(runtime: Runtime, { fleet, faults, differences }: Evidence): RuntimeResults {
  const workers = fleet.workers.filter(({ options }) => options.runtime === runtime);
  const ofRole = (role: Role) => workers.filter(({ options }) => options.role === role);
  const samples = (role: Role) => ofRole(role).find(({ options }) => options.steady)!.memory;
  const calls = (workers: Worker[]) => workers.reduce((sum, { calls }) => sum + calls, 0);
  const count = (kind: InjectedFault["kind"]) =>
    faults.filter((fault) => fault.kind === kind && fault.runtime === runtime).length;
  const scrapers = workers.flatMap((worker) => worker.scrapers);
  const unavailable = (steady: boolean) =>
    fleet.servers.find(({ worker }) =>
      workers.includes(worker) && worker.options.steady === steady
    )!
      .probe.gap.longestMs / 1000;
  const instances = new Set(workers.map(({ instance }) => instance));
  return {
    runtime,
    sent: calls(ofRole("client")),
    served: calls(ofRole("server")),
    clientsKilled: count("client killed"),
    serversKilled: count("server killed"),
    resets: count("connections reset"),
    compared: workers.reduce((sum, worker) => sum + callsOf(worker), 0),
    lost: lost(differences.filter(({ process }) => instances.has(process))),
    unavailableS: unavailable(false),
    unavailableAliveS: unavailable(true),
    scrapes: scrapers.reduce((sum, { answered }) => sum + answered, 0),
    scrapesFailed: scrapers.reduce((sum, { failures }) => sum + failures.length, 0),
    withoutScrapeS: Math.max(...scrapers.map(({ gap }) => gap.longestMs)) / 1000,
    heapSlope: {
      server: heapSlope(settled(samples("server"))),
      client: heapSlope(settled(samples("client"))),
    },
    memory: { server: firstAndLast(samples("server")), client: firstAndLast(samples("client")) },
    files: Object.fromEntries(workers.map(({ instance, files }) => [instance, files])),
  };
}

/** The number of calls that a client ended or a server started, by its own count. */
function callsOf({ options: { role }, lastCounts }: Worker): number {
  return Object.entries(lastCounts)
    .filter(([what]) => role === "client" || what.startsWith("started "))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** Leaves out the first third of a run, in which code is still compiled and series are created. */
function settled(samples: readonly MemorySample[]): readonly MemorySample[] {
  return samples.slice(Math.floor(samples.length / 3));
}

function firstAndLast(samples: readonly MemorySample[]): [MemorySample, MemorySample] {
  return [samples[0]!, samples.at(-1)!];
}

/** The slope in KB/s of the line that fits the heap samples best (least squares). */
function heapSlope(samples: readonly MemorySample[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanMs = mean(samples.map(({ atMs }) => atMs));
  const meanBytes = mean(samples.map(({ heap }) => heap));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, heap } of samples) {
    covariance += (atMs - meanMs) * (heap - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  // Bytes per millisecond are kilobytes per second.
  return variance === 0 ? 0 : covariance / variance;
}

function leaks({ runtime, files, memory }: RuntimeResults): string[] {
  return [
    ...Object.entries(files)
      .filter(([, [start, end]]) => end > start + SPARE_FILES)
      .map(([process, [start, end]]) =>
        `${process}: ${start} open files at the start, ${end} at the end`
      ),
    ...Object.entries(memory)
      .filter(([, [first, last]]) => last.heap > first.heap + SPARE_HEAP)
      .map(([role, [first, last]]) =>
        `${role} on ${runtime}: heap of ${first.heap} bytes first, ${last.heap} last`
      ),
  ];
}
