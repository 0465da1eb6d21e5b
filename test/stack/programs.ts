// Finds the real Collector and Prometheus for tests.

import { collectorBinary } from "../../stack/collector/binary.ts";
import { findExecutable } from "../../stack/executable.ts";
import { promtool } from "../tools.ts";
import { prometheus3 } from "./prometheus-3.ts";

/**
 * Returns the path of the Collector and builds it if necessary. On failure, prints the reason and
 * returns undefined.
 */
export function realCollector(): Promise<string | undefined> {
  return collectorBinary({ log: console.log }).catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}

/** Returns the path of Prometheus, which promtool's package includes; undefined if unavailable. */
export async function realPrometheus(): Promise<string | undefined> {
  await promtool();
  return await findExecutable("prometheus");
}

/** Returns the paths of the versions of Prometheus that tests run with: Debian's, and the newest. */
export async function realPrometheuses(): Promise<Record<string, string | undefined>> {
  return { "Prometheus 2": await realPrometheus(), "Prometheus 3": await prometheus3() };
}
