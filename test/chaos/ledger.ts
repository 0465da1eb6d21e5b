/** Counts by a key such as `grpc.examples.echo.Echo/UnaryEcho OK`. */
export type Counts = Readonly<Record<string, number>>;

/** Counts that an application keeps itself, independently of telemetry. */
export class Ledger {
  readonly #counts: Record<string, number> = {};

  add(...key: readonly (string | number)[]): void {
    const name = key.join(" ");
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }

  get counts(): Counts {
    return this.#counts;
  }
}

/** A count of a process that differs from what Prometheus shows. */
export interface Difference {
  readonly process: string;
  readonly what: string;
  /** The application's own count. */
  readonly own: number;
  /** The count in Prometheus. */
  readonly shown: number;
}

/** Compares the counts of a process with those that Prometheus shows of it. */
export function differences(process: string, own: Counts, shown: Counts): Difference[] {
  const keys = new Set([...Object.keys(own), ...Object.keys(shown)]);
  return [...keys].sort().flatMap((what) => {
    const difference = { process, what, own: own[what] ?? 0, shown: shown[what] ?? 0 };
    return difference.own === difference.shown ? [] : [difference];
  });
}

/** Returns how many calls Prometheus misses or shows without need. */
export function lost(differences: readonly Difference[]): number {
  return differences.reduce((sum, { own, shown }) => sum + Math.abs(own - shown), 0);
}
