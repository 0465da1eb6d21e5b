import type { InjectedFault } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import { lost } from "./ledger.ts";
import type { Difference } from "./ledger.ts";
import type { Part } from "./supervised-program.ts";
import { heapSlope } from "./resources.ts";
import type { MemorySample } from "./resources.ts";
import type { ScriptPair } from "./script-pair.ts";
import { RUNTIMES } from "./worker-process.ts";
import type { Role, Runtime, Worker } from "./worker-process.ts";

/** What a run measured of one runtime. */
export interface RuntimeResults {
  readonly runtime: Runtime;
  /** Calls that its clients have ended. */
  readonly sent: number;
  /** Calls that its servers have answered. */
  readonly served: number;
  readonly clientsKilled: number;
  readonly serversKilled: number;
  readonly resets: number;
  /** Calls of the processes that ran to the end, by their own counts: these were compared. */
  readonly compared: number;
  /** Calls of these that Prometheus does not show, or that were not made. */
  readonly lost: number;
  /** Longest that a server that was killed did not answer, in seconds. */
  readonly unavailableS: number;
  /** The same of one that was not killed: only its connections were reset. */
  readonly unavailableAliveS: number;
  readonly scrapes: number;
  readonly scrapesFailed: number;
  /** Longest time between two answered scrapes of a living process, in seconds. */
  readonly withoutScrapeS: number;
  /** Of the heaps of those that were never killed, in KB/s. */
  readonly heapSlope: Readonly<Record<Role, number>>;
  /** What they used first, and last. */
  readonly memory: Readonly<Record<Role, readonly [MemorySample, MemorySample]>>;
  /** Open files of its workers before the first call, and after the last, by process. */
  readonly files: Readonly<Record<string, readonly [number, number]>>;
}

/** What a run measured. */
export interface Results {
  readonly seed: number;
  readonly seconds: number;
  readonly runtimes: readonly RuntimeResults[];
  /** Calls of `client.ts`. */
  readonly scriptCalls: number;
  /** How often each kind of fault was injected. */
  readonly faults: Readonly<Record<string, number>>;
  /** Whether the disk could be filled; it takes root and a loop device. */
  readonly diskFilled: boolean;
  /** How often the agent could not write to its queue for want of room. */
  readonly writesRefused: number;
  readonly differences: readonly Difference[];
  /** What must not be: a line or more about each. */
  readonly failures: readonly string[];
}

/** What a run leaves to be summed up. */
export interface Evidence {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: readonly InjectedFault[];
  readonly diskFilled: boolean;
  readonly fleet: Fleet;
  readonly scripts: ScriptPair;
  readonly scriptCalls: number;
  /** The Collectors and Prometheus. */
  readonly parts: readonly Part[];
  readonly agent: Part;
  readonly differences: readonly Difference[];
  /** How programs ended at last that were told to, `name: exit code 0`. */
  readonly endings: readonly string[];
}

/**
 * So many more files may be open at the end: sockets to who scrapes and to the Collector come and go,
 * and Deno opens some for itself when it first serves. It would be more for each fault, were they lost.
 */
const SPARE_FILES = 8;
/** What a heap may have grown by from its first sample to its last, in bytes. */
const SPARE_HEAP = 10e6;
/** What the agent says when its disk is full. */
const NO_ROOM = /Rejecting data.*no space left on device/;
const EXPECTED_COMPLAINTS = [
  // Of a Collector that is away, and when it is back.
  /^telemetry: (metrics cannot be delivered to .*|.* again, after .* points? (was|were) late)$/,
  // The frame in which Deno says, once in a folder, that it runs no install scripts.
  /^[╭│╰]/,
];

export function summarize(evidence: Evidence): Results {
  const { seed, seconds, faults, fleet, scripts, parts, differences, endings } = evidence;
  const programs = [
    ...fleet.workers.flatMap((worker) => worker.part.programs),
    ...scripts.programs,
  ];
  const runtimes = RUNTIMES.map((runtime) => ofRuntime(runtime, evidence));
  const writesRefused = evidence.agent.programs
    .flatMap(({ complaints }) => complaints.filter((line) => NO_ROOM.test(line))).length;
  const failures = [
    ...differences.map(({ process, what, own, shown }) =>
      `${process}: ${what}: ${own} by its own count, ${shown} in Prometheus`
    ),
    ...[...parts, ...fleet.workers.map(({ part }) => part)].flatMap(({ crashes }) => crashes),
    ...endings.filter((ending) => !ending.endsWith(": exit code 0")),
    ...programs.flatMap(({ name, complaints }) =>
      complaints.filter(isUnexpected).map((line) => `${name}: ${line}`)
    ),
    ...fleet.workers.flatMap(({ name, scrapers }) =>
      scrapers.flatMap(({ failures }) => failures.map((failure) => `${name}: ${failure}`))
    ),
    ...runtimes.flatMap(leaks),
    ...(evidence.diskFilled && writesRefused === 0 ? ["The agent never missed the disk"] : []),
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

function isUnexpected(complaint: string): boolean {
  return !EXPECTED_COMPLAINTS.some((expected) => expected.test(complaint));
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

/** How many calls a client has ended or a server started, by its own count. */
function callsOf({ options: { role }, lastCounts }: Worker): number {
  return Object.entries(lastCounts)
    .filter(([what]) => role === "client" || what.startsWith("started "))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** Without the first third, in which code is still compiled and series come into being. */
function settled(samples: readonly MemorySample[]): readonly MemorySample[] {
  return samples.slice(Math.floor(samples.length / 3));
}

function firstAndLast(samples: readonly MemorySample[]): [MemorySample, MemorySample] {
  return [samples[0]!, samples.at(-1)!];
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
