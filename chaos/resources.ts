import { readdir, readlink } from "node:fs/promises";

/** What a process holds open. */
export interface Handles {
  readonly files: number;
  /** Of the files, sockets. */
  readonly sockets: number;
}

/** Counts the open file descriptors of a process, as Linux tells. */
export async function openHandles(pid: number): Promise<Handles> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map((file) => readlink(`${folder}/${file}`).catch(() => "")),
  );
  return {
    files: targets.length,
    sockets: targets.filter((target) => target.startsWith("socket:")).length,
  };
}

/** How much was in use at some time. */
export interface HeapSample {
  readonly atMs: number;
  readonly bytes: number;
}

/** The slope in KB/s of the straight line that fits best (least squares). */
export function slope(samples: readonly HeapSample[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanMs = mean(samples.map(({ atMs }) => atMs));
  const meanBytes = mean(samples.map(({ bytes }) => bytes));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, bytes } of samples) {
    covariance += (atMs - meanMs) * (bytes - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  // Bytes per millisecond are kilobytes per second.
  return variance === 0 ? 0 : covariance / variance;
}
