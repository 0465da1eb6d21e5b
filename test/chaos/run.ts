import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { collectorBinary } from "../../stack/collector/binary.ts";
import { findExecutable } from "../../stack/executable.ts";
import { freePorts } from "../../stack/ports.ts";
import { Random } from "../support/random.ts";
import { startCollectors } from "./collectors.ts";
import { SmallDisk } from "./disk.ts";
import { injectFaults } from "./faults.ts";
import { startFleet } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";
import { planFaults } from "./plan.ts";
import { killAll } from "./program.ts";
import { Prometheus } from "./prometheus.ts";
import { reconcile } from "./reconcile.ts";
import { summarize } from "./results.ts";
import type { Results } from "./results.ts";
import { ScriptPair } from "./script-pair.ts";
import type { Worker } from "./worker-process.ts";

/** The options of a run. */
export interface RunOptions {
  /** The seed of the random numbers that select faults and calls. */
  readonly seed: number;
  /** How long calls and faults go on. */
  readonly seconds: number;
  /** Aborts the run, which kills all programs. */
  readonly signal: AbortSignal;
  /** Receives lines that report what happens. */
  readonly log: (line: string) => void;
}

const SERVERS = 6;
/** How long starting, comparing and stopping may take together, in addition to calls and faults. */
const SPARE_MS = 300_000;
/** The number of memory samples in a run. */
const MEMORY_SAMPLES = 20;

/**
 * Runs servers and clients that call each other while faults are injected, then compares what they
 * counted with what Prometheus shows. A process can do this only once, because {@link killAll} ends
 * the run.
 *
 * @throws {Error} if there is no Prometheus or Collector, or if a program does not start or takes too
 * long.
 */
export async function runChaos(options: RunOptions): Promise<Results> {
  const { seconds, log, signal } = options;
  const prometheus = await findExecutable("prometheus");
  if (prometheus === undefined) {
    throw new Error(
      "There is no prometheus on the PATH: install it, see https://prometheus.io/download/",
    );
  }
  const binaries = { prometheus, collector: await collectorBinary({ log }) };
  const late = AbortSignal.timeout(seconds * 1000 + SPARE_MS);
  const folder = await mkdtemp(join(tmpdir(), "chaos-"));
  const queue = join(folder, "queue");
  await mkdir(queue);
  const disk = await SmallDisk.mount(queue).catch((error: Error) => {
    log(`Skipped: the disk is not filled, because no small one can be mounted. ${error.message}`);
    return undefined;
  });
  try {
    return await Promise.race([
      run(options, binaries, folder, queue, disk),
      rejectOn(AbortSignal.any([signal, late])),
    ]);
  } finally {
    await killAll();
    await disk?.unmount();
    await rm(folder, { recursive: true, force: true });
  }
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

async function run(
  { seed, seconds, log }: RunOptions,
  binaries: { readonly prometheus: string; readonly collector: string },
  folder: string,
  queue: string,
  disk: SmallDisk | undefined,
): Promise<Results> {
  const random = new Random(seed);
  const durationMs = seconds * 1000;
  const plan = planFaults(random, durationMs);
  const ports = await choosePorts();
  const collectors = await startCollectors(binaries.collector, ports, queue);
  const prometheus = await Prometheus.start(
    binaries.prometheus,
    folder,
    ports.web,
    `127.0.0.1:${ports.gateway.prometheus}`,
  );
  const scripts = await ScriptPair.start(ports.agent, ports.script);
  const targets = new Targets(prometheus, scripts);
  const fleet = await startFleet({
    random,
    agent: ports.agent,
    ports: ports.servers,
    onChange: () => targets.update(),
  });
  await targets.follow(fleet);
  log(`${fleet.workers.length + scripts.programs.length} programs run`);

  const steady = fleet.workers.filter(({ options }) => options.steady);
  const [faults] = await Promise.all([
    injectFaults(plan, durationMs, {
      ...collectors,
      prometheus: prometheus.supervised,
      fleet,
      disk,
      log,
    }),
    sampleMemory(steady, durationMs),
  ]);

  log("No more faults; waiting for the remaining calls");
  await Promise.all(fleet.servers.map(({ probe }) => probe.stop()));
  await Promise.all(fleet.clients.map((client) => client.finish()));
  const made = await scripts.finish();
  const sinceMs = performance.now();
  const differences = await reconcile(prometheus, fleet, made);
  log(`Compared after ${((performance.now() - sinceMs) / 1000).toFixed(1)} s`);

  await Promise.all(steady.map((worker) => worker.sampleMemory()));
  await Promise.all(fleet.workers.map((worker) => worker.noteFiles()));
  await Promise.all(fleet.servers.map(({ proxy }) => proxy.close()));
  const endings = await Promise.all(
    fleet.workers.map(async (worker) => `${worker.instance}: ${await worker.end()}`),
  );
  endings.push(`server.ts: ${await scripts.end()}`);
  const backends = [collectors.agent, collectors.gateway, prometheus.supervised];
  for (const backend of backends) await backend.end();
  return summarize({
    seed,
    seconds,
    faults,
    diskFilled: disk !== undefined,
    fleet,
    scripts,
    scriptCalls: made["calls"]!,
    backends,
    agent: collectors.agent,
    differences,
    endings,
  });
}

/** Tells Prometheus which processes to scrape, whenever these change. */
class Targets {
  readonly #prometheus: Prometheus;
  readonly #scripts: ScriptPair;
  #fleet: Fleet | undefined;
  #writing = Promise.resolve();

  constructor(prometheus: Prometheus, scripts: ScriptPair) {
    this.#prometheus = prometheus;
    this.#scripts = scripts;
  }

  async follow(fleet: Fleet): Promise<void> {
    this.#fleet = fleet;
    await this.update();
  }

  update(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const workers = this.#fleet?.workers ?? [];
      await this.#prometheus.setTargets([
        this.#scripts.server,
        ...workers.flatMap(({ target }) => target ?? []),
      ]);
    });
    return this.#writing;
  }
}

async function sampleMemory(workers: readonly Worker[], durationMs: number): Promise<void> {
  for (let i = 0; i < MEMORY_SAMPLES; i++) {
    await delay(durationMs / MEMORY_SAMPLES);
    await Promise.all(workers.map((worker) => worker.sampleMemory()));
  }
}

/** Chooses ports below the ephemeral range, so that nobody takes one while its owner is away. */
async function choosePorts() {
  let next = 10_000 + Math.floor(Math.random() * 20_000);
  const collector = () =>
    freePorts({
      http: next++,
      grpc: next++,
      prometheus: next++,
      health: next++,
      telemetry: next++,
    });
  const servers = [];
  const agent = await collector();
  const gateway = await collector();
  for (let i = 0; i < SERVERS; i++) {
    servers.push(await freePorts({ server: next++, proxy: next++ }));
  }
  const { web, script } = await freePorts({ web: next++, script: next++ });
  return { agent, gateway, servers, web, script };
}
