/** How many, by what: `grpc.examples.echo.Echo/UnaryEcho OK`. */
export type Counts = Readonly<Record<string, number>>;

/** Counts that an application keeps by itself, without any telemetry. */
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

/** A count of a process that Prometheus shows otherwise. */
export interface Difference {
  readonly process: string;
  readonly what: string;
  /** By the application's own count. */
  readonly own: number;
  /** In Prometheus. */
  readonly shown: number;
}

/** Where what a process counted and what Prometheus shows of it differ. */
export function differences(process: string, own: Counts, shown: Counts): Difference[] {
  const keys = new Set([...Object.keys(own), ...Object.keys(shown)]);
  return [...keys].sort().flatMap((what) => {
    const difference = { process, what, own: own[what] ?? 0, shown: shown[what] ?? 0 };
    return difference.own === difference.shown ? [] : [difference];
  });
}

/** How many calls are not shown, or are shown without having been made. */
export function lost(differences: readonly Difference[]): number {
  return differences.reduce((sum, { own, shown }) => sum + Math.abs(own - shown), 0);
}
