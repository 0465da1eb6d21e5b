import { createRequire } from "node:module";

/**
 * Loads one of the packages in this folder. An `import` would fail in type checkers and Deno before
 * the benchmarks have installed the packages. It would also load them before instrumentation can
 * patch them.
 */
export const requirePeer: (name: string) => unknown = createRequire(import.meta.url);

/** The parts of prom-client that the benchmarks use. */
export interface PromClient {
  readonly Counter: new (options: MetricOptions) => {
    inc(labels: Record<string, string>): void;
  };
  readonly Histogram: new (options: MetricOptions & { buckets: readonly number[] }) => {
    observe(labels: Record<string, string>, value: number): void;
  };
  readonly register: Registry;
}

/** A registry of prom-client. */
export interface Registry {
  metrics(): Promise<string>;
}

interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}
