import { createContextKey } from "@opentelemetry/api";
import { activeContext } from "./tracing/call-context.ts";

/** The services of OTLP. */
const OTLP = "/opentelemetry.proto.collector.";

/** The key of `suppressTracing` in the SDK, in each of its copies. */
const SUPPRESSED = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/**
 * Returns whether a path is a method of OTLP, which exporters call. An export that is recorded causes
 * the next export.
 */
export function isExporterCall(path: string): boolean {
  return path.startsWith(OTLP);
}

/**
 * Returns whether the code that is running has turned telemetry off for its calls, as exporters of
 * the SDK do. Needs a context manager.
 */
export function isSuppressed(): boolean {
  return activeContext().getValue(SUPPRESSED) === true;
}
