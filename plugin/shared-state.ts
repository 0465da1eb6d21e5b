/**
 * State that all copies of this package in a process share: the ES module build, the CommonJS build,
 * and other versions. A program may load several of them, for example through its libraries.
 *
 * @module
 */

/** Holds the state on `globalThis`. The number changes when the shape of a part changes. */
const KEY = Symbol.for("grpc-js-opentelemetry/1");

/**
 * Returns a part of the shared state.
 *
 * @param name Identifies the part in all copies.
 * @param create Creates the part if no other copy has done so.
 */
export function shared<T extends object>(name: string, create: () => T): T {
  const holder = globalThis as { [KEY]?: Record<string, object> };
  const parts = holder[KEY] ??= Object.create(null) as Record<string, object>;
  return (parts[name] ??= create()) as T;
}
