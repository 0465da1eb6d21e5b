import { isPromise } from "node:util/types";

/**
 * Handles the rejection of a promise that nothing awaits, such as one that a callback returns or
 * throws. Without a handler the rejection would end the process.
 *
 * @param returned any value; only promises are handled
 * @param handle receives the reason of the rejection
 */
export function onRejection(returned: unknown, handle: (reason: unknown) => void): void {
  if (isPromise(returned)) Promise.prototype.then.call(returned, undefined, handle);
}
