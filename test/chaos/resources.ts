import { readdir } from "node:fs/promises";

/** Counts the open file descriptors of a process, sockets too, as Linux tells. */
export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** How much memory a process had at some time, in bytes. */
export interface MemorySample {
  readonly atMs: number;
  /** On the heap, after garbage was collected. */
  readonly heap: number;
  /** Of the process as a whole (RSS). */
  readonly resident: number;
}

/** The slope of the heap in KB/s: of the straight line that fits best (least squares). */
export function heapSlope(samples: readonly MemorySample[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanMs = mean(samples.map(({ atMs }) => atMs));
  const meanBytes = mean(samples.map(({ heap }) => heap));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, heap } of samples) {
    covariance += (atMs - meanMs) * (heap - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  // Bytes per millisecond are kilobytes per second.
  return variance === 0 ? 0 : covariance / variance;
}
