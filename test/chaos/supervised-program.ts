import { setTimeout as delay } from "node:timers/promises";
import type { Program } from "./program.ts";

/** What a supervisor waits before it starts a program again that has ended by itself. */
const RESTART_MS = 1000;

/**
 * A part of the whole that is always to run: a program that is started again in its place whenever
 * it has been stopped, or has ended by itself, as a supervisor does.
 */
export class Part {
  readonly name: string;
  /** How programs ended by themselves, and what they said last. */
  readonly crashes: string[] = [];
  /** All programs that it has been so far, the one that runs included. */
  readonly programs: Program[] = [];
  readonly #start: () => Promise<Program>;
  #busy: Promise<void> = Promise.resolve();
  #stopping = false;

  private constructor(name: string, start: () => Promise<Program>) {
    this.name = name;
    this.#start = start;
  }

  /** @param start Starts the program and resolves when it is ready. */
  static async start(name: string, start: () => Promise<Program>): Promise<Part> {
    const part = new Part(name, start);
    await part.#run();
    return part;
  }

  /** The program that runs now, or ran last. */
  get program(): Program {
    return this.programs.at(-1)!;
  }

  /**
   * Stops the program, waits, and starts it again. One such outage comes after the other.
   *
   * @param meanwhile What else is done while it is away, instead of waiting alone.
   */
  outage(
    signal: NodeJS.Signals,
    awayMs: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    return this.#next(async () => {
      this.#stopping = true;
      await this.program.stop(signal);
      this.#stopping = false;
      await Promise.all([delay(awayMs), meanwhile()]);
      await this.#run();
    });
  }

  /** Resolves when the program runs and no outage is under way. */
  async settled(): Promise<void> {
    await this.#busy;
  }

  /** Stops it for good; resolves to how it ended. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<string> {
    await this.#busy;
    this.#stopping = true;
    return await this.program.stop(signal);
  }

  async #run(): Promise<void> {
    const program = await this.#start();
    this.programs.push(program);
    void program.ended.then((how) => {
      if (this.#stopping || program !== this.program) return;
      this.crashes.push([`${program.name}: ${how}`, ...program.complaints.slice(-5)].join("\n"));
      this.#next(async () => {
        await delay(RESTART_MS);
        await this.#run();
      }).catch((error: Error) => this.crashes.push(error.message));
    });
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(work);
    return this.#busy;
  }
}
