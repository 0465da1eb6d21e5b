import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage; V8 has a function for that only when asked to. */
const collectGarbage = "Bun" in globalThis
  ? () => (globalThis as unknown as { Bun: { gc(wait: true): void } }).Bun.gc(true)
  : exposedByV8();

function exposedByV8(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Bytes on the heap that something still refers to. */
export async function heapInUse(): Promise<number> {
  // What a finished turn of the event loop held goes only afterwards.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
