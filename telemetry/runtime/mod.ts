/**
 * What a program's metrics tell besides its own: the process and the JavaScript runtime, through
 * OpenTelemetry meters.
 *
 * @module
 */
export { observeProcess } from "./process.ts";
export { observeRuntime } from "./runtime.ts";
export { currentRuntime, runtimeResourceAttributes, runtimeWarning } from "./runtime-name.ts";
export type { Runtime } from "./runtime-name.ts";
