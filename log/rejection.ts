import { isPromise } from "node:util/types";

/**
 * Handles the rejection of a promise that nobody waits for, such as one that a callback returns or
 * throws. It would end the process otherwise.
 *
 * @param returned Anything; what is no promise is ignored.
 */
export function onRejection(returned: unknown, handle: (reason: unknown) => void): void {
  if (isPromise(returned)) Promise.prototype.then.call(returned, undefined, handle);
}
