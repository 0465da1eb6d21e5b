import { shared } from "../shared-state.ts";
import { metricOf } from "./cardinality.ts";

/** The connections, or what makes them, that each metric counts. */
const counted = shared("countedSubchannels", () => new WeakMap<object, WeakSet<object>>());

/**
 * Returns whether the metric of an instrument is on and does not count an object before this. Channels
 * share subchannels, and plugins of one meter provider share its metrics, so several may try.
 *
 * @param source A subchannel, or another object that makes connections.
 */
export function startsToCount(instrument: object, source: object): boolean {
  const metric = metricOf(instrument);
  if (metric === undefined) return false;
  const sources = counted.get(metric) ?? new WeakSet();
  counted.set(metric, sources);
  if (sources.has(source)) return false;
  sources.add(source);
  return true;
}
