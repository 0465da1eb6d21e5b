import { createRequire } from "node:module";

/**
 * Loads a package of this folder. Not by `import`: type checkers and Deno would miss the packages
 * until the benchmarks have installed them, and instrumentation has to patch what is loaded after it.
 */
export const requirePeer: (name: string) => unknown = createRequire(import.meta.url);
