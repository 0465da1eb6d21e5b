import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** How long a program may take to say something, or to end: the machine is busy. */
const PATIENCE_MS = 90_000;

export type Environment = Readonly<Record<string, string>>;

/** How a program is to be run. */
export interface ProgramOptions {
  readonly name: string;
  /** A program and its arguments; it runs in the project's folder. */
  readonly command: readonly string[];
  /** What it has besides what this process has for its tools. */
  readonly environment?: Environment;
}

/** Programs that run, so that none outlives this process. */
const running = new Map<ChildProcessWithoutNullStreams, Program>();
let over = false;
process.on("exit", killAll);

/** Kills all programs, for good: none can be started any more. Resolves when they are gone. */
export async function killAll(): Promise<void> {
  over = true;
  for (const child of running.keys()) child.kill("SIGKILL");
  await Promise.all([...running.values()].map(({ ended }) => ended));
}

/** A child process that is talked to over its standard input and output, line by line. */
export class Program {
  readonly name: string;
  /** What it printed to standard error so far. */
  readonly complaints: string[] = [];
  /** Resolves to how it ended: `exit code 1`, `SIGKILL`, or why it could not start. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #watchers = new Set<(line: string) => void>();

  /** @throws {Error} when all programs have been killed before. */
  constructor({ name, command: [file = "", ...args], environment = {} }: ProgramOptions) {
    if (over) throw new Error(`${name} is not started: the run is over`);
    this.name = name;
    const env = { ...inherited(), NO_COLOR: "1", ...environment };
    const child = spawn(file, args, { cwd: PROJECT, env });
    this.#child = child;
    running.set(child, this);
    // A program that was killed does not take what it is told any more.
    child.stdin.on("error", () => {});
    this.#read(child.stdout);
    this.#read(child.stderr, (line) => this.complaints.push(line));
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => running.delete(child));
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals): Promise<string> {
    this.#child.kill(signal);
    return await this.#patiently(this.ended, `does not end after ${signal}`);
  }

  /**
   * Waits for a line that is printed after this was called, on either output.
   *
   * @returns The first group of the match.
   * @throws {Error} when the program ends before, or after 90 s.
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
        reject(new Error(`${this.name} ends (${how}): ${this.complaints.slice(-5).join("\n")}`));
      });
    });
    try {
      return await this.#patiently(found, `does not print ${pattern}`);
    } finally {
      if (watcher) this.#watchers.delete(watcher);
    }
  }

  /** Writes a line to its standard input and waits for the answer, see {@link printed}. */
  async ask(command: string, answer: RegExp): Promise<string> {
    const printed = this.printed(answer);
    this.send(command);
    return await printed;
  }

  /** Writes a line to its standard input. */
  send(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** Calls back with each line from now on. */
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
        reject(new Error(`${this.name} ${failure}\n${this.complaints.slice(-5).join("\n")}`));
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([work, patience]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Without what the programs read from it, nor what a test runner tells its own children. */
function inherited(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      !/^(ECHO|GRPC|OTEL|COLLECTOR|NODE_TEST)_/.test(name)
    ),
  );
}
