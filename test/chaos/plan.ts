import type { Random } from "../support/random.ts";

/** The kinds of faults. */
export const FAULT_KINDS = [
  "client killed",
  "server killed",
  "connections reset",
  "agent stopped",
  "gateway stopped",
  "Prometheus stopped",
  "disk full",
] as const;
export type FaultKind = typeof FAULT_KINDS[number];

/** One planned fault. */
export interface Fault {
  readonly kind: FaultKind;
  /** When it happens, in milliseconds after the start of the run. */
  readonly atMs: number;
  /** The signal that stops a Collector or Prometheus. Workers are always killed. */
  readonly signal: NodeJS.Signals;
  /** How long the stopped program stays away, in milliseconds. */
  readonly awayMs: number;
  /** A number from 0 up to, but not including, 1 that selects one of the possible workers. */
  readonly choice: number;
}

/** The time without faults at the start and at the end of a run. */
const CALM_MS = 5000;
/** The time between two faults. */
const LEAST_GAP_MS = 500;
const MOST_GAP_MS = 4500;
/** The longest time that a stopped program stays away. */
const LONGEST_MS = 8000;
/** The disk stays full for more than two exports, so that the agent surely writes to it. */
const LEAST_FULL_MS = 5000;
/** A killed server comes back sooner, because its clients have no other server. */
const LONGEST_SERVER_MS = 2000;

/** The shortest run, in seconds, that is certain to have each kind of fault. */
export const LEAST_SECONDS = Math.ceil(
  (2 * CALM_MS + FAULT_KINDS.length * MOST_GAP_MS + LONGEST_MS) / 1000,
);

/**
 * Plans the faults of a run. Each kind comes once before any kind repeats, so that a short run has
 * all of them and a long run has about the same number of each.
 *
 * @param durationMs The length of the run in milliseconds, at least {@link LEAST_SECONDS}. The last
 * fault is over before it ends.
 */
export function planFaults(random: Random, durationMs: number): Fault[] {
  const faults: Fault[] = [];
  let deck: FaultKind[] = [];
  let atMs = CALM_MS;
  while (true) {
    atMs += random.between(LEAST_GAP_MS, MOST_GAP_MS);
    if (atMs > durationMs - LONGEST_MS - CALM_MS) return faults;
    if (deck.length === 0) deck = shuffled(random, FAULT_KINDS);
    const kind = deck.pop()!;
    faults.push({
      kind,
      atMs,
      signal: random.of(["SIGKILL", "SIGTERM"]),
      awayMs: random.between(
        kind === "disk full" ? LEAST_FULL_MS : 0,
        kind === "server killed" ? LONGEST_SERVER_MS : LONGEST_MS,
      ),
      choice: random.next(),
    });
  }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.between(0, left.length - 1), 1)[0]!);
}
