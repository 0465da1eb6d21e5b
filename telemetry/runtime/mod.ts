/** @module Metrics of the process and of the JavaScript runtime, through OpenTelemetry meters. */
export { observeProcess } from "./process.ts";
export { observeRuntime } from "./runtime.ts";
export { currentRuntime, runtimeResourceAttributes, runtimeWarning } from "./runtime-name.ts";
export type { Runtime } from "./runtime-name.ts";
