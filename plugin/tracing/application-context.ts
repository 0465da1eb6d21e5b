import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { warnOfThrown } from "../warning.ts";

/** Returns the active context. Returns the root and warns once if the context manager fails. */
export function activeContext(): Context {
  try {
    return context.active();
  } catch (error) {
    warnOfContextManager(error);
    return ROOT_CONTEXT;
  }
}

/**
 * Calls a function in a context, exactly once. If the application's context manager fails, warns once
 * and calls the function without the context.
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
