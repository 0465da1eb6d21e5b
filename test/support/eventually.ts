import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";

/** Waits until `probe` returns the expected value. Throws the difference after `timeoutMs`. */
export async function eventuallyEqual<T>(
  probe: () => T | Promise<T>,
  expected: T,
  timeoutMs = 5000,
): Promise<void> {
  await eventually(async () => assert.deepEqual(await probe(), expected), timeoutMs);
}

/** Waits until `check` does not throw, and returns its result. Throws its error after `timeoutMs`. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  timeoutMs = 5000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (true) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(10);
  }
}
