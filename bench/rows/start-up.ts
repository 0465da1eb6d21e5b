import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "../../npm/build.ts";
import { Service } from "../../stack/service.ts";
import { rotated } from "../measure/alternate.ts";
import { figure, ratios } from "../measure/figure.ts";
import type { Figure } from "../measure/figure.ts";
import { script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Row } from "./row.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** Time between the start and the reading of the memory, so that the process is idle. */
const IDLE_MS = 500;

/** A server whose start is measured. */
interface Server {
  readonly path: string;
  /** The module that is loaded before the server. Relative to the project. */
  readonly preload?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const SERVERS: Readonly<Record<string, Server>> = {
  "bare": { path: "bench/programs/bare-server.ts" },
  "bare with zod and SDK": { path: "bench/programs/library-server.ts" },
  "server.ts": { path: "server.ts" },
  "bare with register, built": {
    path: "bench/programs/bare-server.ts",
    preload: ".cache/bench/dist/register.js",
  },
  "bare with register, sources": {
    path: "bench/programs/bare-server.ts",
    preload: "telemetry/register.ts",
  },
};

/** The options with which each runtime loads a module before a program. */
const PRELOADS: Readonly<Record<Runtime, (module: string) => string[]>> = {
  bun: (module) => ["--preload", module],
  deno: (module) => ["--preload", module],
  node: (module) => ["--import", module],
};

/** What a start took. */
interface Start {
  /** Milliseconds from the start of the process until it serves. */
  readonly ms: number;
  /** Resident memory in units of 1,000,000 bytes. */
  readonly MB: number;
}

/**
 * Compares the start-up time and memory of `server.ts` with those of a server without telemetry.
 * Also shows how much of the difference comes from loading zod and the SDK, and how much Node's
 * compile cache saves.
 */
export const startUp: Row = {
  name: "start-up",
  title: "start-up time and idle memory of server.ts / a bare server",
  async *measure({ runtimes, starts }) {
    await build(join(PROJECT, ".cache/bench/dist"));
    for (const of of runtimes) {
      if (of !== "node") yield* figures(of, await startInTurns(of, SERVERS, starts));
    }
    if (!runtimes.includes("node")) return;
    // Only Node has a compile cache.
    const cache = await mkdtemp(join(tmpdir(), "compile-cache-"));
    try {
      const cached = { path: "server.ts", environment: { NODE_COMPILE_CACHE: cache } };
      await fillCompileCache(cached);
      const servers = { ...SERVERS, "server.ts, cached": cached };
      yield* figures("node", await startInTurns("node", servers, starts));
    } finally {
      await rm(cache, { recursive: true });
    }
  },
};

/** Starts all servers a number of times. A different one begins each time. */
async function startInTurns(
  runtime: Runtime,
  servers: Readonly<Record<string, Server>>,
  times: number,
): Promise<Record<string, Start[]>> {
  const names = Object.keys(servers);
  const measured: Record<string, Start[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let i = 0; i < times; i++) {
    for (const name of rotated(names, i)) {
      measured[name]!.push(await start(runtime, servers[name]!));
    }
  }
  return measured;
}

function* figures(of: Runtime, measured: Readonly<Record<string, Start[]>>): Generator<Figure> {
  for (const [name, starts] of Object.entries(measured)) {
    for (const [unit, title] of [["ms", "start-up"], ["MB", "idle memory"]] as const) {
      const what = `${title}, ${name}`;
      const amounts = starts.map((start) => start[unit]);
      yield figure({ what, of, unit }, amounts);
      if (name === "bare") continue;
      const bare = measured["bare"]!.map((start) => start[unit]);
      const goal = name === "server.ts" ? { atMost: 1.25 } : undefined;
      yield figure({ what: `${what} / bare`, of, unit: "" }, ratios(amounts, bare), goal);
    }
  }
}

async function start(runtime: Runtime, server: Server): Promise<Start> {
  const startMs = performance.now();
  const service = await serve(runtime, server);
  const ms = performance.now() - startMs;
  await delay(IDLE_MS);
  const MB = await residentMegabytes(service.pid!);
  service.kill();
  await service.ended;
  return { ms, MB };
}

/** Starts a server and stops it cleanly: Node writes its compile cache on a clean exit. */
async function fillCompileCache(server: Server): Promise<void> {
  const service = await serve("node", server);
  await service.stop();
}

/** Starts a server and waits until it serves. */
async function serve(runtime: Runtime, { path, preload, environment }: Server): Promise<Service> {
  const [program = "", ...args] = script(runtime, path);
  const preloads = preload === undefined ? [] : PRELOADS[runtime](join(PROJECT, preload));
  const run = args.splice(0, args.length - 1);
  const service = new Service({
    name: path,
    command: [program, ...run, ...preloads, ...args],
    environment: { ECHO_ADDR: "127.0.0.1:0", OTEL_EXPORTER_PROMETHEUS_PORT: "0", ...environment },
    log: () => {},
  });
  await service.printed(/^Serving on/);
  return service;
}

/** Returns the resident memory of a process in units of 1,000,000 bytes. */
async function residentMegabytes(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", `${pid}`]);
  return Number(stdout) * 1024 / 1e6;
}
