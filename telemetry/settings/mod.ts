/** @module Environment variables: what telemetry reads, how it is checked and documented. */
export { helpText, markdownTable } from "./documentation.ts";
export { StartupError } from "./read.ts";
export { withoutSecrets } from "./secrets.ts";
export { readSettings, variables } from "./variables.ts";
export type { Settings } from "./variables.ts";
