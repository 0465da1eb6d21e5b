import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Figure } from "../measure/figure.ts";
import type { Runtime } from "../measure/program.ts";
import { serve, startFigures, startInTurns } from "../measure/start.ts";
import type { Server } from "../measure/start.ts";
import type { Row } from "./row.ts";

const SERVERS: Readonly<Record<string, Server>> = {
  "bare": { path: "bench/programs/bare-server.ts" },
  "bare with zod and SDK": { path: "bench/programs/library-server.ts" },
  "server.ts": { path: "server.ts" },
};

/**
 * Compares the start-up time and memory of `server.ts` with those of a server without telemetry.
 * Also shows how much of the difference comes from loading zod and the SDK, and how much Node's
 * compile cache saves.
 */
export const startUp: Row = {
  name: "start-up",
  title: "start-up time and idle memory of server.ts / a bare server",
  async *measure({ runtimes, starts }) {
    for (const of of runtimes) {
      if (of !== "node") yield* compare(of, SERVERS, starts);
    }
    if (!runtimes.includes("node")) return;
    // Only Node has a compile cache.
    const cache = await mkdtemp(join(tmpdir(), "compile-cache-"));
    try {
      const cached = { path: "server.ts", environment: { NODE_COMPILE_CACHE: cache } };
      await fillCompileCache(cached);
      yield* compare("node", { ...SERVERS, "server.ts, cached": cached }, starts);
    } finally {
      await rm(cache, { recursive: true });
    }
  },
};

async function* compare(
  of: Runtime,
  servers: Readonly<Record<string, Server>>,
  times: number,
): AsyncGenerator<Figure> {
  const { bare, ...others } = await startInTurns(of, servers, times);
  yield* startFigures(of, "bare", bare!);
  for (const [name, starts] of Object.entries(others)) {
    const goal = name === "server.ts" ? { atMost: 1.25 } : undefined;
    yield* startFigures(of, name, starts, bare, {
      goals: goal && { ms: goal, MB: goal },
    });
  }
}

/** Starts a server and stops it cleanly: Node writes its compile cache on a clean exit. */
async function fillCompileCache(server: Server): Promise<void> {
  const service = await serve("node", server);
  await service.stop();
}
