/** `bare-server.ts` in a process that has loaded what `server.ts` is made of, and does not use it. */
import "@opentelemetry/sdk-metrics";
import "zod";
import "./bare-server.ts";
