/**
 * Starts telemetry for an unchanged program:
 *
 * ```sh
 * node --import grpc-js-opentelemetry/register app.js
 * ```
 *
 * @module
 */
// The program starts when its first call can be recorded, or if a package cannot be loaded.
try {
  const { startZeroCode } = await import("./zero-code.ts");
  await startZeroCode();
} catch (error) {
  console.error(`telemetry is off: ${error}`);
}
