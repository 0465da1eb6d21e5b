import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { warnOfThrown } from "../warning.ts";

/** The active context; the root if the application's context manager fails, with one warning. */
export function activeContext(): Context {
  try {
    return context.active();
  } catch (error) {
    warnOfContextManager(error);
    return ROOT_CONTEXT;
  }
}

/**
 * Calls a function once, in a context; without one if the application's context manager fails, with
 * one warning.
 *
 * @returns What the function returns.
 * @throws What the function throws.
 */
export function callInContext<A extends unknown[], T>(
  callContext: Context,
  called: (...args: A) => T,
  self: unknown,
  args: A,
): T {
  let isCalled = false;
  let hasReturned = false;
  let result: T | undefined;
  try {
    context.with(callContext, () => {
      isCalled = true;
      result = called.apply(self, args);
      hasReturned = true;
    });
  } catch (error) {
    if (isCalled && !hasReturned) throw error;
    warnOfContextManager(error);
  }
  return isCalled ? result as T : called.apply(self, args);
}

function warnOfContextManager(thrown: unknown): void {
  warnOfThrown("gRPC spans are not active, because the context manager fails", thrown);
}
