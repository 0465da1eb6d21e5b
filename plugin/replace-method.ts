/**
 * Replaces a method of one object. Its prototype and other objects keep theirs.
 *
 * Objects that grpc-js creates for each call get shared functions by plain assignment instead,
 * because a replacement made here is a new closure.
 *
 * @param replace Receives the original method and returns the method that takes its place.
 */
export function replaceMethod<T extends object, Name extends keyof T>(
  object: T,
  name: Name,
  replace: (original: T[Name]) => T[Name],
): void {
  object[name] = replace(object[name]);
}

/**
 * Returns a stand-in for an object that others share: `methods` take the place of the object's own,
 * and the object itself does not change.
 *
 * The object's other methods run with the stand-in as `this`. A method that sets properties must be
 * among `methods`, or it sets them on the stand-in.
 */
export function withMethods<T extends object>(shared: T, methods: Partial<T>): T {
  return Object.assign(Object.create(shared), methods);
}
