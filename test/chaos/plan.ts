import type { Random } from "../support/random.ts";

/** What can go wrong. */
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

/** One thing that goes wrong. */
export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds after the run's begin. */
  readonly atMs: number;
  /** Of a Collector and of Prometheus: how it is stopped. Workers are always killed. */
  readonly signal: NodeJS.Signals;
  /** For how many milliseconds what is stopped stays away. */
  readonly awayMs: number;
  /** A number from 0 to below 1 that chooses among the workers that it can happen to. */
  readonly choice: number;
}

/** Calls go on undisturbed for so long at the begin, and at the end. */
const CALM_MS = 5000;
/** Time between two faults. */
const LEAST_GAP_MS = 500;
const MOST_GAP_MS = 4500;
/** How long what is stopped stays away, at most. */
const LONGEST_MS = 8000;
/** A full disk is felt only by who writes to it meanwhile: more than two exports. */
const LEAST_FULL_MS = 5000;
/** A server that is killed is back sooner: its clients have nobody else. */
const LONGEST_SERVER_MS = 2000;

/** Shortest run, in seconds, that surely has each kind of fault. */
export const LEAST_SECONDS = Math.ceil(
  (2 * CALM_MS + FAULT_KINDS.length * MOST_GAP_MS + LONGEST_MS) / 1000,
);

/**
 * The faults of a run. Each kind comes once before any comes again, so that a short run has all of
 * them and a long one as many of each.
 *
 * @param durationMs How long the run is, {@link LEAST_SECONDS} or more; the last fault is over before.
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
