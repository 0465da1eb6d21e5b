import { run } from "../support/script.ts";
import type { Environment, Runtime } from "../support/script.ts";
import { Scraper } from "./availability.ts";
import type { Counts } from "./ledger.ts";
import { openFiles } from "./proc.ts";
import { Program } from "./program.ts";
import type { Target } from "./prometheus.ts";
import { SupervisedProgram } from "./supervised-program.ts";

/** The runtimes in the order of the results. */
export const RUNTIMES = ["node", "bun", "deno"] as const satisfies readonly Runtime[];
export type Role = "server" | "client";

/** The memory of a process at some time, in bytes. */
export interface MemorySample {
  readonly atMs: number;
  /** The heap after a garbage collection. */
  readonly heap: number;
  /** The whole process (RSS). */
  readonly resident: number;
}

/** The options of a {@link Worker}. */
export interface WorkerOptions {
  readonly runtime: Runtime;
  readonly role: Role;
  /** Whether it is never killed. */
  readonly steady: boolean;
  /** The variables that configure its export. */
  readonly environment: Environment;
  /** Returns the arguments of the next process. */
  readonly args: () => readonly string[];
  /** Called when a process has started or is about to stop. */
  readonly onChange: () => void;
}

/** A server or a client of the run. After each kill another process takes its place. */
export class Worker {
  readonly options: WorkerOptions;
  readonly name: string;
  readonly scrapers: Scraper[] = [];
  readonly memory: MemorySample[] = [];
  #supervised: SupervisedProgram | undefined;
  #target: Target | undefined;
  #instance = "";
  #lastCounts: Counts = {};
  #filesAtStart = 0;
  #filesAtEnd = 0;
  /** The number of ended calls that each process last reported. */
  readonly #calls: number[] = [];

  constructor(options: WorkerOptions) {
    const { runtime, role, steady } = options;
    this.options = options;
    this.name = `${steady ? "steady" : "killed"}-${role}-${runtime}`;
  }

  async start(): Promise<void> {
    this.#supervised = await SupervisedProgram.start(this.name, () => this.#startProcess());
  }

  get supervised(): SupervisedProgram {
    return this.#supervised!;
  }

  /** The `service.instance.id` of the current process. */
  get instance(): string {
    return this.#instance;
  }

  /** Where the current process is scraped; undefined if it pushes, or none runs. */
  get target(): Target | undefined {
    return this.#target;
  }

  /** The calls that all its processes ended. Those of the last second before a kill may be missing. */
  get calls(): number {
    return this.#calls.reduce((sum, calls) => sum + calls, 0);
  }

  /** The open files of the current process before its first call, and at the end. */
  get files(): readonly [number, number] {
    return [this.#filesAtStart, this.#filesAtEnd];
  }

  /** Notes how many files are open at the end. */
  async noteFiles(): Promise<void> {
    this.#filesAtEnd = await openFiles(this.supervised.program.pid);
  }

  /**
   * Kills the process and starts another one.
   *
   * @param awayMs The pause between both, in milliseconds.
   */
  kill(awayMs: number): Promise<void> {
    this.#detach();
    return this.supervised.outage("SIGKILL", awayMs);
  }

  /** Takes a memory sample. */
  async sampleMemory(): Promise<void> {
    const answer = await this.supervised.program.ask("memory", /^Memory (\d+ \d+)$/);
    const [heap, resident] = answer.split(" ").map(Number);
    this.memory.push({ atMs: performance.now(), heap: heap!, resident: resident! });
  }

  /** Asks the process for its counts. */
  async counts(): Promise<Counts> {
    this.#lastCounts = JSON.parse(
      await this.supervised.program.ask("counts", /^Counts (.*)$/),
    ) as Counts;
    return this.#lastCounts;
  }

  /** The latest answer of {@link counts}. */
  get lastCounts(): Counts {
    return this.#lastCounts;
  }

  /** Tells a client to make no more calls, and waits for the running ones. */
  async finish(): Promise<void> {
    await this.supervised.program.ask("finish", /^Finished$/);
  }

  /** Stops it for good. Resolves with how it ended. */
  async end(): Promise<string> {
    await this.supervised.settled();
    this.#detach();
    return await this.supervised.end();
  }

  #detach(): void {
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
