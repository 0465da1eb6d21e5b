import type { InjectedFault } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import { lost } from "./ledger.ts";
import type { Difference } from "./ledger.ts";
import type { Part } from "./part.ts";
import { slope } from "./resources.ts";
import type { Handles } from "./resources.ts";
import type { ScriptPair } from "./scripts.ts";
import { RUNTIMES } from "./worker-process.ts";
import type { Runtime, Worker } from "./worker-process.ts";

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
  /** Calls of its processes that Prometheus does not show, or that were not made. */
  readonly lost: number;
  /** Longest that one of its servers did not answer, in seconds. */
  readonly unavailableS: number;
  readonly scrapes: number;
  readonly scrapesFailed: number;
  /** Longest time between two answered scrapes of a living process, in seconds. */
  readonly withoutScrapeS: number;
  /** Of the memory in use of those that were never killed, in KB/s. */
  readonly heapSlope: Readonly<Record<Worker["options"]["role"], number>>;
  /** What they used first, and last, in bytes. */
  readonly heap: Readonly<Record<Worker["options"]["role"], readonly [number, number]>>;
  /** Open files of its workers before the first call, and after the last, by process. */
  readonly handles: Readonly<Record<string, readonly [Handles, Handles]>>;
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
  readonly differences: readonly Difference[];
  /** How programs ended at last that were told to, `name: exit code 0`. */
  readonly endings: readonly string[];
}

/**
 * So many more files may be open at the end: sockets to who scrapes and to the Collector come and go,
 * and Deno opens some for itself when it first serves. It would be more for each fault, were they lost.
 */
const SPARE_HANDLES = 8;
/** What a heap may have grown by from its first sample to its last, in bytes. */
const SPARE_HEAP = 20e6;
/** What the programs say of a Collector that is away, and when it is back. */
const EXPECTED_COMPLAINT =
  /^telemetry: (metrics cannot be delivered to .*|.* again, after .* points? (was|were) late)$/;

export function summarize(evidence: Evidence): Results {
  const { seed, seconds, faults, fleet, scripts, parts, differences, endings } = evidence;
  const programs = [
    ...fleet.workers.flatMap((worker) => worker.part.programs),
    ...scripts.programs,
  ];
  const runtimes = RUNTIMES.map((runtime) => ofRuntime(runtime, evidence));
  const failures = [
    ...differences.map(({ process, what, own, shown }) =>
      `${process}: ${what}: ${own} by its own count, ${shown} in Prometheus`
    ),
    ...[...parts, ...fleet.workers.map(({ part }) => part)].flatMap(({ crashes }) => crashes),
    ...endings.filter((ending) => !ending.endsWith(": exit code 0")),
    ...programs.flatMap(({ name, complaints }) =>
      complaints.filter((line) => !EXPECTED_COMPLAINT.test(line)).map((line) => `${name}: ${line}`)
    ),
    ...fleet.workers.flatMap(({ name, scrapers }) =>
      scrapers.flatMap(({ failures }) => failures.map((failure) => `${name}: ${failure}`))
    ),
    ...runtimes.flatMap(leaks),
  ];
  return {
    seed,
    seconds,
    runtimes,
    scriptCalls: evidence.scriptCalls,
    faults: countKinds(faults),
    diskFilled: evidence.diskFilled,
    differences,
    failures,
  };
}

function countKinds(faults: readonly InjectedFault[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function ofRuntime(runtime: Runtime, { fleet, faults, differences }: Evidence): RuntimeResults {
  const workers = fleet.workers.filter(({ options }) => options.runtime === runtime);
  const ofRole = (role: Worker["options"]["role"]) =>
    workers.filter(({ options }) => options.role === role);
  const steady = (role: Worker["options"]["role"]) =>
    ofRole(role).find(({ options }) => options.steady)!;
  const calls = (workers: Worker[]) => workers.reduce((sum, { calls }) => sum + calls, 0);
  const count = (kind: InjectedFault["kind"]) =>
    faults.filter((fault) => fault.kind === kind && fault.runtime === runtime).length;
  const scrapers = workers.flatMap((worker) => worker.scrapers);
  const probes = fleet.servers.filter(({ worker }) => workers.includes(worker))
    .map(({ probe }) => probe);
  const instances = new Set(workers.map(({ instance }) => instance));
  return {
    runtime,
    sent: calls(ofRole("client")),
    served: calls(ofRole("server")),
    clientsKilled: count("client killed"),
    serversKilled: count("server killed"),
    resets: count("connections reset"),
    lost: lost(differences.filter(({ process }) => instances.has(process))),
    unavailableS: Math.max(...probes.map(({ gap }) => gap.longestMs)) / 1000,
    scrapes: scrapers.reduce((sum, { answered }) => sum + answered, 0),
    scrapesFailed: scrapers.reduce((sum, { failures }) => sum + failures.length, 0),
    withoutScrapeS: Math.max(...scrapers.map(({ gap }) => gap.longestMs)) / 1000,
    heapSlope: {
      server: slope(settled(steady("server"))),
      client: slope(settled(steady("client"))),
    },
    heap: { server: firstAndLast(steady("server")), client: firstAndLast(steady("client")) },
    handles: Object.fromEntries(
      workers.map((worker) => [worker.instance, [worker.handlesAtStart, worker.handlesAtEnd]]),
    ),
  };
}

/** Without the first third, in which code is still compiled and series come into being. */
function settled({ heap }: Worker) {
  return heap.slice(Math.floor(heap.length / 3));
}

function firstAndLast({ heap }: Worker): [number, number] {
  return [heap[0]?.bytes ?? 0, heap.at(-1)?.bytes ?? 0];
}

function leaks({ runtime, handles, heap }: RuntimeResults): string[] {
  return [
    ...Object.entries(handles)
      .filter(([, [start, end]]) => end.files > start.files + SPARE_HANDLES)
      .map(([process, [start, end]]) =>
        `${process}: ${start.files} open files at the start, ${end.files} at the end`
      ),
    ...Object.entries(heap)
      .filter(([, [first, last]]) => last > first + SPARE_HEAP)
      .map(([role, [first, last]]) =>
        `${role} on ${runtime}: heap of ${first} bytes first, ${last} last`
      ),
  ];
}
