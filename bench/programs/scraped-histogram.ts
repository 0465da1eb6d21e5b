import { LATENCY_BOUNDS_SECONDS } from "../../plugin/metrics/definitions.ts";

/** The number of label sets. */
export const LABEL_SETS = 1000;

/** The histogram that is scraped, which is not one of the plugin's. */
export const HISTOGRAM = {
  name: "bench.call.duration",
  unit: "s",
  description: "A histogram with many label sets.",
  advice: { explicitBucketBoundaries: [...LATENCY_BOUNDS_SECONDS] },
};

/** The label sets, like those of calls to a thousand methods. */
export const ATTRIBUTES: readonly Record<string, string>[] = Array.from(
  { length: LABEL_SETS },
  (_, i) => ({ "grpc.method": `package.Service${i % 50}/Method${i}`, "grpc.status": "OK" }),
);

/** Returns a value in seconds for each label set. Together the values fall into all buckets. */
export function sampleSeconds(index: number): number {
  return LATENCY_BOUNDS_SECONDS[index % LATENCY_BOUNDS_SECONDS.length]!;
}
