/**
 * `bare-server.ts` in a process that also loads the libraries of `server.ts` without using them.
 *
 * @module
 */
import "@opentelemetry/sdk-metrics";
import "zod";
import "./bare-server.ts";
