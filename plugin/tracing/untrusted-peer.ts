/**
 * What a server uses of the context of a client that it does not trust.
 *
 * @module
 */
import { isSpanContextValid, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, Link } from "@opentelemetry/api";

/**
 * Returns a context with the baggage that a client sent, and nothing else: what propagators keep under
 * keys of their own may decide which calls are sampled, here or at the servers that the handler calls.
 */
export function withBaggageOnly(sent: Context): Context {
  const baggage = propagation.getBaggage(sent);
  return baggage === undefined ? ROOT_CONTEXT : propagation.setBaggage(ROOT_CONTEXT, baggage);
}

/** Returns a link to the span that a client sent, if it sent one. */
export function linksTo(sent: Context): Link[] {
  const context = trace.getSpanContext(sent);
  return context !== undefined && isSpanContextValid(context) ? [{ context }] : [];
}
