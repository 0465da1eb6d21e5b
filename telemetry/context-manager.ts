import { context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";

/** Sets the global context manager, unless the program has one. */
export function ensureContextManager(): void {
  const key = createContextKey("context manager");
  const hasOne = context.with(
    ROOT_CONTEXT.setValue(key, true),
    () => context.active().getValue(key) === true,
  );
  if (!hasOne) context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}
