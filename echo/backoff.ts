const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * How long a worker pauses after `failures` failed calls in a row: 100 ms, doubled each time, 5 s at
 * most, shortened by up to half at random lest all workers try again together.
 *
 * @param failures at least 1
 * @returns milliseconds
 */
export function backoffMs(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (1 - Math.random() / 2);
}
