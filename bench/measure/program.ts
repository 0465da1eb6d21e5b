import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** The command with which each runtime runs a script. */
export const RUNTIMES = {
  bun: ["bun", "run"],
  deno: ["deno", "run", "-A", "--quiet"],
  node: ["node"],
} as const;

/** The name of a runtime. */
export type Runtime = keyof typeof RUNTIMES;

/** The names of all runtimes. */
export const RUNTIME_NAMES = Object.keys(RUNTIMES) as Runtime[];

/** Returns the command that runs a script on a runtime. The path is relative to the project. */
export function script(runtime: Runtime, path: string, ...args: string[]): string[] {
  return [...RUNTIMES[runtime], absolute(path), ...args];
}

/** Like {@link script}, for a script that calls the function `gc` to collect garbage. */
export function collectingScript(runtime: Runtime, path: string, ...args: string[]): string[] {
  const flag = runtime === "deno" ? "--v8-flags=--expose-gc" : "--expose-gc";
  return [...RUNTIMES[runtime], flag, absolute(path), ...args];
}

function absolute(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Programs that have not been stopped. */
const running = new Set<Program>();

/** Stops programs that a failed measurement left running, because they would disturb the next one. */
export async function stopPrograms(): Promise<void> {
  for (const program of running) await program.stop();
}

/** Time for an answer. */
const ANSWER_MS = 120_000;

/**
 * A process that answers each line of standard input with a line of JSON, like the programs in
 * `bench/programs`.
 */
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
    // The process may end before a question reaches it.
    this.#child.stdin.on("error", () => {});
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Starts a process.
   *
   * @returns The process and its first answer.
   * @throws {Error} when the process ends without an answer; so does {@link ask}.
   */
  static async start<T>(command: readonly string[]): Promise<[Program, T]> {
    const program = new Program(command);
    running.add(program);
    return [program, await program.#answer<T>(command.join(" "))];
  }

  /** Writes a line and waits for the answer. Only one question may be open at a time. */
  async ask<T>(question: string): Promise<T> {
    this.#child.stdin.write(`${question}\n`);
    return await this.#answer<T>(question);
  }

  /** Closes the input, which ends the process, and waits for its end. */
  async stop(): Promise<void> {
    running.delete(this);
    this.#child.stdin.end();
    await this.#ended;
  }

  async #answer<T>(question: string): Promise<T> {
    // Killing a process that hangs also ends its answers.
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), ANSWER_MS);
    const { value, done } = await this.#answers.next();
    clearTimeout(patience);
    if (done) throw new Error(`a measured process ended instead of answering "${question}"`);
    return JSON.parse(value);
  }
}
