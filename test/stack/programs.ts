// The real programs that a stack is made of, for the tests that need them.

import { collectorBinary } from "../../stack/collector/binary.ts";
import { findExecutable } from "../../stack/executable.ts";
import { promtool } from "../tools.ts";

/** The Collector, built if need be; undefined, with the reason printed, when it can't be had. */
export function realCollector(): Promise<string | undefined> {
  return collectorBinary({ log: console.log }).catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}

/** Prometheus, which comes in one package with promtool; undefined when it can't be had. */
export async function realPrometheus(): Promise<string | undefined> {
  await promtool();
  return await findExecutable("prometheus");
}
