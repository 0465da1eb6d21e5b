/**
 * Load for an example client: calls at a given concurrency and rate, what they did shown while they
 * run and summed up at the end. Knows nothing of what a call is.
 *
 * @module
 */

import { systemClock } from "./clock.ts";
import { LoadRun } from "./loop.ts";
import type { Call, LoadOptions } from "./loop.ts";
import type { Reporter } from "./reporter.ts";
import type { LoadSummary } from "./summary.ts";

export type { Call, CallError, LoadOptions, RunningCall } from "./loop.ts";
export { createReporter } from "./reporter.ts";
export type { Output, Reporter } from "./reporter.ts";
export { formatSummary } from "./summary.ts";
export type { LatencySummary, LoadSummary } from "./summary.ts";

/**
 * Makes calls until the count is reached, the duration is over or the signal aborts. A failed call is
 * reported and counted, and its worker goes on after an exponential back-off (100 ms to 5 s).
 *
 * @param call starts one call; if it throws, the run ends with that error
 * @returns resolves once no call runs any more
 */
export function runLoad(
  call: Call,
  options: LoadOptions,
  reporter: Reporter,
): Promise<LoadSummary> {
  return new LoadRun(call, options, reporter, systemClock).run();
}
