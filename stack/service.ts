import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));

/** How long a service may take to become healthy. */
const START_MS = 60_000;
/** How long a service may take to stop: the scripts let calls finish (10 s), then export (5 s). */
const STOP_MS = 20_000;
const POLL_MS = 100;

/** How a service is to be run. */
export interface ServiceOptions {
  /** What messages call it. */
  readonly name: string;
  /** A program and its arguments; it runs in the project's folder. */
  readonly command: readonly string[];
  /** What it has besides, or instead of, this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Takes each line that it prints, to standard output or standard error. */
  readonly log: (line: string) => void;
}

interface Watcher {
  readonly pattern: RegExp;
  times: number;
  readonly found: (text: string) => void;
}

/** Services that run, so that none of them outlives this process. */
const running = new Set<Service>();
process.on("exit", () => {
  for (const service of running) service.kill();
});

/**
 * A program that runs as a child process until it is stopped.
 *
 * It gets a process group of its own, for two reasons: Ctrl-C on the terminal then reaches this
 * process only, which can stop its services in order; and where the program is a wrapper around the
 * real one, as npm's are, a signal reaches both.
 */
export class Service {
  /** What messages call it. */
  readonly name: string;
  /**
   * Resolves when the process is gone and its last line was logged, to how it ended: `exit code 1`,
   * `SIGKILL`, or why it could not be started. Never rejects.
   */
  readonly ended: Promise<string>;
  readonly #log: (line: string) => void;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<Watcher>();

  /** Starts the program. Should it not be there, {@link ended} tells. */
  constructor({ name, command: [file = "", ...args], environment, log }: ServiceOptions) {
    this.name = name;
    this.#log = log;
    const child = spawn(file, args, {
      cwd: PROJECT,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    running.add(this);
    this.#show(child.stdout);
    this.#show(child.stderr);
    // What is left of the group would keep the pipes open.
    child.on("exit", () => this.kill());
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => running.delete(this));
  }

  /** The process's id; undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Waits for lines that are printed after this was called.
   *
   * @param times How many lines have to match.
   * @returns The first group of the last match.
   * @throws {Error} when the service ends before.
   */
  printed(pattern: RegExp, times = 1): Promise<string> {
    const found = new Promise<string>((resolve) => {
      this.#watchers.add({ pattern, times, found: resolve });
    });
    return this.#unlessEnded(found);
  }

  /**
   * Waits until a URL is answered with a success.
   *
   * @throws {Error} when the service ends before, or after 60 s.
   */
  async answers(url: string): Promise<void> {
    const deadline = Date.now() + START_MS;
    while (!(await isHealthy(url))) {
      if (Date.now() > deadline) {
        throw new Error(`${this.name} does not answer at ${url} after ${START_MS / 1000} s`);
      }
      await this.#unlessEnded(delay(POLL_MS));
    }
  }

  /**
   * Asks it to stop, as Ctrl-C does, and waits until it has. After 20 s it is killed.
   *
   * @returns How it ended, as {@link ended}.
   */
  async stop(): Promise<string> {
    this.#signal("SIGINT");
    const patience = setTimeout(() => this.kill(), STOP_MS);
    const ending = await this.ended;
    clearTimeout(patience);
    return ending;
  }

  /** Ends it, with all processes of its group, at once. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // Nothing is left of the group.
    }
  }

  #show(output: Readable): void {
    createInterface(output).on("line", (line) => {
      this.#log(line);
      for (const watcher of this.#watchers) {
        const match = watcher.pattern.exec(line);
        if (match === null || --watcher.times > 0) continue;
        this.#watchers.delete(watcher);
        watcher.found(match[1] ?? match[0]);
      }
    });
  }

  #unlessEnded<T>(work: Promise<T>): Promise<T> {
    const ended = this.ended.then((how): never => {
      throw new Error(`${this.name} ended too early: ${how}`);
    });
    return Promise.race([work, ended]);
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
