import type { MetricReader } from "@opentelemetry/sdk-metrics";

/** A place that metrics go to. */
export interface MetricsOutput {
  readonly reader: MetricReader;
  /** Where the metrics can be seen, in words for a log line. */
  readonly endpoint: string;
  /** Stops what the reader's own shutdown does not stop. */
  close?(): Promise<void> | void;
  /** Returns a log line about data that is lost if the process ends now; undefined if there is none. */
  undelivered?(): string | undefined;
}
