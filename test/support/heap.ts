import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage. V8 exposes a function for this only with a flag. */
const collectGarbage = "Bun" in globalThis
  ? () => (globalThis as unknown as { Bun: { gc(wait: true): void } }).Bun.gc(true)
  : exposedByV8();

function exposedByV8(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Returns the size of the reachable heap in bytes. */
export async function heapInUse(): Promise<number> {
  // Objects held by a turn of the event loop become garbage only after it.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

/** Formats a size in bytes as megabytes. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
