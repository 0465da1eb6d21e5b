import { passes } from "./metrics/labels.ts";

/** Returns whether the calls of a path such as `/package.Service/Method` are recorded. */
export type MethodFilter = (path: string) => boolean;

/**
 * Returns a filter of paths from the option `methodFilter`.
 *
 * A filter that throws or returns a promise records the call, with one warning: a mistake in a filter
 * must not lose metrics.
 *
 * @param filter Receives `package.Service/Method`. Records all calls if undefined.
 */
export function methodFilter(filter: MethodFilter | undefined): MethodFilter | undefined {
  if (filter === undefined) return undefined;
  return (path) =>
    passes("methodFilter", filter, path.replace(/^\//, ""), "gRPC calls are recorded") !== false;
}
