/**
 * Telemetry for the Echo scripts: it reads the environment and starts a `MeterProvider`, the gRPC
 * plugin and, if asked to, traces. `bun run telemetry.ts` prints the variables.
 *
 * @module
 */
import { ignoreOutputErrors } from "./log/output.ts";
import { helpText, readSettings, variables } from "./telemetry/settings/mod.ts";
import { startWithSettings } from "./telemetry/start.ts";
import type { Telemetry, TelemetryDefaults } from "./telemetry/start.ts";

export type { Telemetry, TelemetryDefaults } from "./telemetry/start.ts";

/**
 * Starts the telemetry that the environment describes.
 *
 * @throws {StartupError} with a line for every bad variable, or for a port that is in use; nothing
 * keeps running then
 */
export async function startTelemetry(defaults: TelemetryDefaults): Promise<Telemetry> {
  return await startWithSettings(readSettings(), defaults);
}

// In a bundle every module is the main one, but none is this file.
if (import.meta.main && import.meta.url.endsWith("/telemetry.ts")) {
  ignoreOutputErrors();
  console.log(helpText(variables));
}
