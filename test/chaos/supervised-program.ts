import { setTimeout as delay } from "node:timers/promises";
import type { Program } from "./program.ts";

/** The pause before a program that has ended by itself is started again. */
const RESTART_MS = 1000;

/** A program that is started again whenever it has been stopped or has ended by itself. */
export class SupervisedProgram {
  readonly name: string;
  /** How programs ended by themselves, each with its last lines on standard error. */
  readonly crashes: string[] = [];
  /** All programs started so far, the current one last. */
  readonly programs: Program[] = [];
  readonly #start: () => Promise<Program>;
  #queue: Promise<void> = Promise.resolve();
  #stopping = false;

  private constructor(name: string, start: () => Promise<Program>) {
    this.name = name;
    this.#start = start;
  }

  /** @param start Starts the program and resolves when it is ready. */
  static async start(name: string, start: () => Promise<Program>): Promise<SupervisedProgram> {
    const supervised = new SupervisedProgram(name, start);
    await supervised.#run();
    return supervised;
  }

  /** The current program, or the last one. */
  get program(): Program {
    return this.programs.at(-1)!;
  }

  /**
   * Stops the program, waits, and starts it again. Outages never overlap: each waits for the
   * previous one.
   *
   * @param awayMs The least time before the program starts again, in milliseconds.
   * @param meanwhile Runs while the program is away. The program starts again only after it.
   */
  outage(
    signal: NodeJS.Signals,
    awayMs: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    return this.#enqueue(async () => {
      this.#stopping = true;
      await this.program.stop(signal);
      this.#stopping = false;
      await Promise.all([delay(awayMs), meanwhile()]);
      await this.#run();
    });
  }

  /** Resolves when all outages are over and the program runs. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  /** Stops the program for good. Resolves with how it ended. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<string> {
    await this.#queue;
    this.#stopping = true;
    return await this.program.stop(signal);
  }

  async #run(): Promise<void> {
    const program = await this.#start();
    this.programs.push(program);
    void program.ended.then((how) => {
      if (this.#stopping || program !== this.program) return;
      this.crashes.push([`${program.name}: ${how}`, ...program.errorLines.slice(-5)].join("\n"));
      this.#enqueue(async () => {
        await delay(RESTART_MS);
        await this.#run();
      }).catch((error: Error) => this.crashes.push(error.message));
    });
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work);
    return this.#queue;
  }
}
