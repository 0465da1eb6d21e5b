import type { HrTime } from "@opentelemetry/api";
import type { DataPoint, MetricData } from "@opentelemetry/sdk-metrics";
import type { LabelSet } from "./labels.ts";

/**
 * How long before its first scrape a series must have started, in seconds. Prometheus dates a sample
 * back to the moment when its scrape began, on its own clock.
 */
const EARLIER_S = 1;

/**
 * Decides which series show when they started. Prometheus then adds a zero at that time
 * (`created-timestamp-zero-ingestion`), so that the first value of a series counts as an increase.
 *
 * A zero after the first sample would look like a reset and count the value twice. So a series never
 * shows its start if it was scraped within a second of it, nor if it is observed: the SDK takes the
 * first observation for its start.
 *
 * @see https://prometheus.io/docs/prometheus/latest/feature_flags/#created-timestamps-zero-injection
 */
export class StartTimes {
  /** Whether a series shows its start, for each family. */
  readonly #shown = new Map<string, WeakMap<LabelSet, boolean>>();

  /**
   * Returns when a series started, or undefined if it does not show that. Called for every value of
   * every scrape: the first call for a series decides.
   */
  of(
    family: string,
    labels: LabelSet,
    { startTime, endTime }: DataPoint<unknown>,
    descriptor: MetricData["descriptor"],
  ): HrTime | undefined {
    let series = this.#shown.get(family);
    if (series === undefined) this.#shown.set(family, series = new WeakMap());
    let isShown = series.get(labels);
    if (isShown === undefined) {
      isShown = isSynchronous(descriptor) && secondsBetween(startTime, endTime) >= EARLIER_S;
      series.set(labels, isShown);
    }
    return isShown ? startTime : undefined;
  }
}

/** The SDK's descriptors have the type of the instrument too, which their interface leaves out. */
function isSynchronous(
  descriptor: MetricData["descriptor"] & { readonly type?: unknown },
): boolean {
  return typeof descriptor.type === "string" && !descriptor.type.startsWith("OBSERVABLE");
}

function secondsBetween(start: HrTime, end: HrTime): number {
  return end[0] - start[0] + (end[1] - start[1]) / 1e9;
}
