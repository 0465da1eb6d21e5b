import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { ambientLabel, runWithLabel } from "../client/custom-label.ts";
import { warnOfThrown } from "../warning.ts";

/**
 * The OpenTelemetry context and the custom label that belong to one call.
 *
 * grpc-js calls the application from events of a connection or of a queue, where the context is that
 * of the code that opened the connection. So a call keeps its own.
 */
export class CallContext {
  readonly context: Context;
  readonly #label: string | undefined;

  /** @param label The label of calls that the application makes while it handles this one. */
  constructor(context: Context, label?: string) {
    this.context = context;
    this.#label = label;
  }

  /** Returns the context and the label of the code that is running. */
  static current(): CallContext {
    return new CallContext(activeContext(), ambientLabel());
  }

  /** Returns whether the running code has this context and this label already. */
  isCurrent(): boolean {
    return ambientLabel() === this.#label && activeContext() === this.context;
  }

  /**
   * Calls a function in this context, exactly once.
   *
   * @returns What the function returns.
   * @throws What the function throws.
   */
  run<A extends unknown[], T>(called: (...args: A) => T, self: unknown, args: A): T {
    if (ambientLabel() === this.#label) return callInContext(this.context, called, self, args);
    return runWithLabel(this.#label, () => callInContext(this.context, called, self, args));
  }
}

/** Returns the active context. Returns the root and warns once if the context manager fails. */
export function activeContext(): Context {
  try {
    return context.active();
  } catch (error) {
    warnOfContextManager(error);
    return ROOT_CONTEXT;
  }
}

/** If the application's context manager fails, warns once and calls without the context. */
function callInContext<A extends unknown[], T>(
  callContext: Context,
  called: (...args: A) => T,
  self: unknown,
  args: A,
): T {
  if (activeContext() === callContext) return called.apply(self, args);
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
