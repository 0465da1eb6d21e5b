/**
 * Starts telemetry for a program that knows nothing of it:
 *
 * ```sh
 * node --import grpc-js-opentelemetry/register app.js
 * ```
 *
 * @module
 */
import { startZeroCode } from "./zero-code.ts";

// The program starts when its first call can be recorded.
await startZeroCode();
