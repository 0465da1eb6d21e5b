/**
 * The CommonJS form of `register.ts`, for `node --require`. A CommonJS module cannot be awaited, so
 * calls that the program makes in its first moments are not recorded: prefer `node --import`.
 *
 * @module
 */
import("./zero-code.ts").then(
  ({ startZeroCode }) => startZeroCode(),
  (error) => console.error(`telemetry is off: ${error}`),
);
