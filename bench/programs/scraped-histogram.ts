import { LATENCY_BOUNDS_SECONDS } from "../../plugin/metrics/definitions.ts";

/** So many label sets are scraped. */
export const LABEL_SETS = 1000;

/** What is scraped: a histogram that is none of the plugin's own. */
export const HISTOGRAM = {
  name: "bench.call.duration",
  unit: "s",
  description: "A histogram with many label sets.",
  advice: { explicitBucketBoundaries: [...LATENCY_BOUNDS_SECONDS] },
};

/** Label sets such as calls of a thousand methods have. */
export const ATTRIBUTES: readonly Record<string, string>[] = Array.from(
  { length: LABEL_SETS },
  (_, i) => ({ "grpc.method": `package.Service${i % 50}/Method${i}`, "grpc.status": "OK" }),
);

/** Seconds that go into all of the buckets, as the label sets are gone through. */
export function value(index: number): number {
  return LATENCY_BOUNDS_SECONDS[index % LATENCY_BOUNDS_SECONDS.length]!;
}
