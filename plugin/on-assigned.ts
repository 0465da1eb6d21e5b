import { shielded } from "./warning.ts";

/**
 * Calls a function with each value that is assigned to a property of one object. Several functions may
 * watch the same property, from other plugins and from other copies of this package too.
 *
 * @param assigned Called after each assignment. Its errors are reported and go no further.
 */
export function onAssigned<T extends object, Name extends keyof T>(
  object: T,
  name: Name,
  assigned: (value: T[Name]) => void,
): void {
  const before = Object.getOwnPropertyDescriptor(object, name);
  let value = object[name];
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get: before?.get ?? (() => value),
    set(this: T, next: T[Name]) {
      if (before?.set === undefined) value = next;
      else before.set.call(this, next);
      shielded(() => assigned(next));
    },
  });
}
