import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { PROJECT } from "../support/script.ts";
import type { Environment } from "../support/script.ts";

/** How long a program may take to print a line or to end. Generous, because the machine is busy. */
const PATIENCE_MS = 90_000;

/** How to run a program. */
export interface ProgramOptions {
  readonly name: string;
  /** The program and its arguments. It runs in the project's folder. */
  readonly command: readonly string[];
  /** Variables in addition to the inherited ones. */
  readonly environment?: Environment;
}

/** The running programs. They are killed when this process exits. */
const running = new Map<ChildProcessWithoutNullStreams, Program>();
let over = false;
process.on("exit", killAll);

/** Kills all programs and prevents new ones. Resolves when they have ended. */
export async function killAll(): Promise<void> {
  over = true;
  for (const child of running.keys()) child.kill("SIGKILL");
  await Promise.all([...running.values()].map(({ ended }) => ended));
}

/** A child process with a line-by-line protocol over its standard input and output. */
export class Program {
  readonly name: string;
  /** The lines that it has printed to standard error. */
  readonly errorLines: string[] = [];
  /** Resolves with how it ended: `exit code 1`, `SIGKILL` or the error at its start. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #watchers = new Set<(line: string) => void>();

  /** @throws {Error} after {@link killAll}. */
  constructor({ name, command: [file = "", ...args], environment = {} }: ProgramOptions) {
    if (over) throw new Error(`${name} is not started: the run is over`);
    this.name = name;
    const env = { ...inherited(), NO_COLOR: "1", ...environment };
    const child = spawn(file, args, { cwd: PROJECT, env });
    this.#child = child;
    running.set(child, this);
    // Writing to a killed program fails with EPIPE, which does not matter.
    child.stdin.on("error", () => {});
    this.#read(child.stdout);
    this.#read(child.stderr, (line) => this.errorLines.push(line));
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => running.delete(child));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends a signal and waits for the program to end. Resolves with how it ended. */
  async stop(signal: NodeJS.Signals): Promise<string> {
    this.#child.kill(signal);
    return await this.#patiently(this.ended, `does not end after ${signal}`);
  }

  /**
   * Waits for a line that the program prints, from now on, to either output.
   *
   * @returns The first group of the match, or the whole match if there is no group.
   * @throws {Error} if the program ends first, or after 90 s.
   */
  async printed(pattern: RegExp): Promise<string> {
    let watcher: ((line: string) => void) | undefined;
    const found = new Promise<string>((resolve, reject) => {
      watcher = (line) => {
        const match = pattern.exec(line);
        if (match !== null) resolve(match[1] ?? match[0]);
      };
      this.#watchers.add(watcher);
      void this.ended.then((how) => {
        reject(new Error(`${this.name} ends (${how}): ${this.errorLines.slice(-5).join("\n")}`));
      });
    });
    try {
      return await this.#patiently(found, `does not print ${pattern}`);
    } finally {
      if (watcher) this.#watchers.delete(watcher);
    }
  }

  /** Writes a line to standard input and waits for the answer, see {@link printed}. */
  async ask(command: string, answer: RegExp): Promise<string> {
    const printed = this.printed(answer);
    this.send(command);
    return await printed;
  }

  /** Writes a line to standard input. */
  send(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** Calls a function with each line that the program prints from now on. */
  onLine(watcher: (line: string) => void): void {
    this.#watchers.add(watcher);
  }

  #read(output: Readable, keep?: (line: string) => void): void {
    createInterface(output).on("line", (line) => {
      keep?.(line);
      for (const watcher of [...this.#watchers]) watcher(line);
    });
  }

  async #patiently<T>(work: Promise<T>, failure: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`${this.name} ${failure}\n${this.errorLines.slice(-5).join("\n")}`));
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([work, patience]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** This process's environment without the variables of the programs and of the test runner. */
function inherited(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      !/^(ECHO|GRPC|OTEL|COLLECTOR|NODE_TEST)_/.test(name)
    ),
  );
}
