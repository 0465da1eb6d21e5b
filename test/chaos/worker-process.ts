import { Part } from "./supervised-program.ts";
import { Program } from "./program.ts";
import type { Environment } from "./program.ts";
import type { Counts } from "./ledger.ts";
import type { Target } from "./prometheus.ts";
import { openFiles } from "./resources.ts";
import type { MemorySample } from "./resources.ts";
import { Scraper } from "./availability.ts";

export const RUNTIMES = ["node", "bun", "deno"] as const;
export type Runtime = typeof RUNTIMES[number];
export type Role = "server" | "client";

/** The command that runs a script as the README says. */
export function run(runtime: Runtime, file: string, ...args: string[]): string[] {
  const runner = { bun: ["bun", "run"], deno: ["deno", "run", "-A"], node: ["node"] }[runtime];
  return [...runner, file, ...args];
}

/** What a worker is. */
export interface WorkerOptions {
  readonly runtime: Runtime;
  readonly role: Role;
  /** Whether it is never killed. */
  readonly steady: boolean;
  /** The variables that say how it exports. */
  readonly environment: Environment;
  /** Arguments of each of its processes. */
  readonly args: () => readonly string[];
  /** Called when a process of it has come or is about to go. */
  readonly onChange: () => void;
}

/** A server or a client of the run: a process, and after each kill another one. */
export class Worker {
  readonly options: WorkerOptions;
  readonly name: string;
  readonly scrapers: Scraper[] = [];
  readonly memory: MemorySample[] = [];
  #part: Part | undefined;
  #target: Target | undefined;
  #instance = "";
  #lastCounts: Counts = {};
  #filesAtStart = 0;
  #filesAtEnd = 0;
  /** Calls that each process had ended when it last said so. */
  readonly #calls: number[] = [];

  constructor(options: WorkerOptions) {
    const { runtime, role, steady } = options;
    this.options = options;
    this.name = `${steady ? "steady" : "killed"}-${role}-${runtime}`;
  }

  async start(): Promise<void> {
    this.#part = await Part.start(this.name, () => this.#startProcess());
  }

  get part(): Part {
    return this.#part!;
  }

  /** The `service.instance.id` of the process that runs. */
  get instance(): string {
    return this.#instance;
  }

  /** Where the process that runs is scraped; undefined if it pushes, or none runs. */
  get target(): Target | undefined {
    return this.#target;
  }

  /** Calls that all its processes have ended; those of a last second before a kill may be missing. */
  get calls(): number {
    return this.#calls.reduce((sum, calls) => sum + calls, 0);
  }

  /** Open files of the process that runs, before its first call and when it was last noted. */
  get files(): readonly [number, number] {
    return [this.#filesAtStart, this.#filesAtEnd];
  }

  /** Notes how many files are open now, at the end. */
  async noteFiles(): Promise<void> {
    this.#filesAtEnd = await openFiles(this.part.program.pid);
  }

  /** Kills the process, in the middle of whatever it does, and starts another one. */
  kill(awayMs: number): Promise<void> {
    this.#gone();
    return this.part.outage("SIGKILL", awayMs);
  }

  /** Notes how much memory is in use. */
  async sampleMemory(): Promise<void> {
    const answer = await this.part.program.ask("memory", /^Memory (\d+ \d+)$/);
    const [heap, resident] = answer.split(" ").map(Number);
    this.memory.push({ atMs: performance.now(), heap: heap!, resident: resident! });
  }

  /** What the process has counted. */
  async counts(): Promise<Counts> {
    this.#lastCounts = JSON.parse(await this.part.program.ask("counts", /^Counts (.*)$/)) as Counts;
    return this.#lastCounts;
  }

  /** What it had counted when it was last asked. */
  get lastCounts(): Counts {
    return this.#lastCounts;
  }

  /** Has a client make no more calls, and waits for those that run. */
  async finish(): Promise<void> {
    await this.part.program.ask("finish", /^Finished$/);
  }

  /** Stops it for good; resolves to how it ended. */
  async end(): Promise<string> {
    await this.part.settled();
    this.#gone();
    return await this.part.end();
  }

  #gone(): void {
    this.#target = undefined;
    void this.scrapers.at(-1)?.stop();
    this.options.onChange();
  }

  async #startProcess(): Promise<Program> {
    const { runtime, role, args, environment } = this.options;
    void this.scrapers.at(-1)?.stop();
    const index = this.#calls.length;
    const instance = `${this.name}-${index}`;
    const job = `chaos-${role}`;
    const program = new Program({
      name: instance,
      command: run(runtime, "test/chaos/worker.ts", role, ...args()),
      environment: {
        ...environment,
        OTEL_SERVICE_NAME: job,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${instance}`,
      },
    });
    const [url] = await Promise.all([
      program.printed(/^Metrics at (\S+)/),
      program.printed(/^Ready$/),
    ]);
    this.#calls.push(0);
    program.onLine((line) => {
      const [, calls] = /^Calls (\d+)$/.exec(line) ?? [];
      if (calls !== undefined) this.#calls[index] = Number(calls);
    });
    this.#instance = instance;
    if (environment["OTEL_METRICS_EXPORTER"] === "prometheus") {
      this.#target = { job, instance, url };
      this.scrapers.push(new Scraper(url));
    }
    this.options.onChange();
    this.#filesAtStart = await openFiles(program.pid);
    program.send("start");
    return program;
  }
}
