import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Service } from "../../stack/service.ts";
import { rotated } from "./alternate.ts";
import { figure, ratios } from "./figure.ts";
import type { Figure, Goal } from "./figure.ts";
import { RUNTIMES } from "./program.ts";
import type { Runtime } from "./program.ts";

const PROJECT = new URL("../../", import.meta.url);

/** Time between the start and the reading of the memory, so that the process is idle. */
const IDLE_MS = 500;

/** A server whose start is measured. Paths are absolute, or relative to the project. */
export interface Server {
  readonly path: string;
  /** The module that is loaded before the server. */
  readonly preload?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The options with which each runtime loads a module before a program. */
const PRELOADS: Readonly<Record<Runtime, string>> = {
  bun: "--preload",
  deno: "--preload",
  node: "--import",
};

/** What a start took. */
export interface Start {
  /** Milliseconds from the start of the process until it serves. */
  readonly ms: number;
  /** Resident memory in units of 1,000,000 bytes. */
  readonly MB: number;
}

/**
 * Starts all servers a number of times. A different one begins each time.
 *
 * @returns The starts of each server. Those with the same index belong together.
 */
export async function startInTurns<K extends string>(
  runtime: Runtime,
  servers: Readonly<Record<K, Server>>,
  times: number,
): Promise<Record<K, Start[]>> {
  const names = Object.keys(servers) as K[];
  const starts = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    K,
    Start[]
  >;
  for (let i = 0; i < times; i++) {
    for (const name of rotated(names, i)) starts[name].push(await start(runtime, servers[name]));
  }
  return starts;
}

/**
 * Yields the time and the memory of starts.
 *
 * @param bare Starts of the server to compare with.
 * @param options.goals The goals of the comparisons.
 * @param options.again Other starts of the server to compare with, which show the noise.
 */
export function* startFigures(
  of: Runtime,
  name: string,
  starts: readonly Start[],
  bare?: readonly Start[],
  { goals, again }: StartOptions = {},
): Generator<Figure> {
  for (const [unit, title] of [["ms", "start-up"], ["MB", "idle memory"]] as const) {
    const what = `${title}, ${name}`;
    const amounts = (starts: readonly Start[]) => starts.map((start) => start[unit]);
    yield figure({ what, of, unit }, amounts(starts));
    if (bare === undefined) continue;
    const noise = again && ratios(amounts(again), amounts(bare));
    yield figure(
      { what: `${what} / bare`, of, unit: "" },
      ratios(amounts(starts), amounts(bare)),
      goals?.[unit],
      noise,
    );
  }
}

interface StartOptions {
  readonly goals?: Readonly<Record<keyof Start, Goal>> | undefined;
  readonly again?: readonly Start[];
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

/** Starts a server and waits until it serves. */
export async function serve(
  runtime: Runtime,
  { path, preload, environment }: Server,
): Promise<Service> {
  const absolute = (path: string) => fileURLToPath(new URL(path, PROJECT));
  const preloads = preload === undefined ? [] : [PRELOADS[runtime], absolute(preload)];
  const service = new Service({
    name: path,
    command: [...RUNTIMES[runtime], ...preloads, absolute(path)],
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
