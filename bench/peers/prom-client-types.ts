/** What is used of prom-client. */
export interface PromClient {
  readonly Counter: new (options: MetricOptions) => {
    inc(labels: Record<string, string>): void;
  };
  readonly Histogram: new (options: MetricOptions & { buckets: readonly number[] }) => {
    observe(labels: Record<string, string>, value: number): void;
  };
  readonly register: Registry;
}

export interface Registry {
  metrics(): Promise<string>;
}

interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}
