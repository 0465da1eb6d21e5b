import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** The three runtimes, and the command that each runs a script with. */
export const RUNTIMES = {
  bun: ["bun", "run"],
  deno: ["deno", "run", "-A", "--quiet"],
  node: ["node"],
} as const;

export type Runtime = keyof typeof RUNTIMES;

export const RUNTIME_NAMES = Object.keys(RUNTIMES) as Runtime[];

/** The command that runs a script, given by its path in the project, on a runtime. */
export function script(runtime: Runtime, path: string, ...args: string[]): string[] {
  return [...RUNTIMES[runtime], absolute(path), ...args];
}

/** The same, for a script that collects garbage when it is told to: it has a function `gc`. */
export function collectingScript(runtime: Runtime, path: string, ...args: string[]): string[] {
  const flag = runtime === "deno" ? "--v8-flags=--expose-gc" : "--expose-gc";
  return [...RUNTIMES[runtime], flag, absolute(path), ...args];
}

function absolute(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Those that have not been stopped. */
const running = new Set<Program>();

/** Ends what a measurement that failed has left running, so that it does not disturb the next one. */
export async function stopPrograms(): Promise<void> {
  for (const program of running) await program.stop();
}

const PATIENCE_MS = 120_000;

/** A process that answers lines of standard input with lines of JSON, as `bench/programs` do. */
export class Program {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown>;
  readonly #answers: AsyncIterator<string>;

  private constructor([file = "", ...args]: readonly string[]) {
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", resolve);
      this.#child.on("error", resolve);
    });
    // It may end before it was asked.
    this.#child.stdin.on("error", () => {});
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Starts a process.
   *
   * @returns It, and what it said first.
   * @throws {Error} when it ends before; so does {@link ask}.
   */
  static async start<T>(command: readonly string[]): Promise<[Program, T]> {
    const program = new Program(command);
    running.add(program);
    return [program, await program.#answer<T>(command.join(" "))];
  }

  /** Writes a line and waits for the answer. One question at a time. */
  async ask<T>(question: string): Promise<T> {
    this.#child.stdin.write(`${question}\n`);
    return await this.#answer<T>(question);
  }

  /** Closes its input, which ends it, and waits until it is gone. */
  async stop(): Promise<void> {
    running.delete(this);
    this.#child.stdin.end();
    await this.#ended;
  }

  async #answer<T>(question: string): Promise<T> {
    // One that hangs is killed, which ends its answers.
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    const { value, done } = await this.#answers.next();
    clearTimeout(patience);
    if (done) throw new Error(`a measured process ended instead of answering "${question}"`);
    return JSON.parse(value);
  }
}
