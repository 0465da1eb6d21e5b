import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));

/** Time for a service to become healthy. */
const START_MS = 60_000;
/** Time for a service to stop: the scripts let calls finish (10 s), then export (5 s). */
const STOP_MS = 20_000;
const POLL_MS = 100;

/** Options of a {@link Service}. */
export interface ServiceOptions {
  /** Its name in messages. */
  readonly name: string;
  /** The program and its arguments. It runs in the project's folder. */
  readonly command: readonly string[];
  /** Environment variables that add to or override this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Receives each line that it prints, and where. */
  readonly log: (line: string, output: "stdout" | "stderr") => void;
}

interface Watcher {
  readonly pattern: RegExp;
  times: number;
  readonly found: (text: string) => void;
}

/** Running services, which are killed when this process exits. */
const running = new Set<Service>();
process.on("exit", () => {
  for (const service of running) service.kill();
});

/**
 * A program that runs as a child process until it is stopped.
 *
 * It has its own process group for two reasons. Ctrl-C on the terminal reaches only this process,
 * which can then stop its services in order. And a signal reaches both a wrapper, such as npm's,
 * and the program that it wraps.
 */
export class Service {
  /** Its name in messages. */
  readonly name: string;
  /**
   * Resolves when the process has ended and its last line is logged. The value says how it ended:
   * `exit code 1`, `SIGKILL`, or why it did not start. Never rejects.
   */
  readonly ended: Promise<string>;
  readonly #log: ServiceOptions["log"];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #watchers = new Set<Watcher>();

  /** Starts the program. If it is missing, {@link ended} resolves with the reason. */
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
    this.#show("stdout");
    this.#show("stderr");
    // Other processes of the group would keep the pipes open.
    child.on("exit", () => this.kill());
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => running.delete(this));
  }

  /** The process id; undefined if the program did not start. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Waits for lines that are printed after this call.
   *
   * @param times How many lines have to match.
   * @returns The first group of the last match, or the whole match if the pattern has no group.
   * @throws {Error} when the service ends first.
   */
  printed(pattern: RegExp, times = 1): Promise<string> {
    const found = new Promise<string>((resolve) => {
      this.#watchers.add({ pattern, times, found: resolve });
    });
    return this.#unlessEnded(found);
  }

  /**
   * Waits until a URL answers with a success status.
   *
   * @throws {Error} when the service ends first, or after 60 s.
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
   * Asks the service to stop, as Ctrl-C does, and waits for its end. Kills it after 20 s.
   *
   * @returns How it ended, like {@link ended}.
   */
  async stop(): Promise<string> {
    this.#signal("SIGINT");
    const killTimer = setTimeout(() => this.kill(), STOP_MS);
    const ending = await this.ended;
    clearTimeout(killTimer);
    return ending;
  }

  /** Kills all processes of its group. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group has no process left.
    }
  }

  #show(output: "stdout" | "stderr"): void {
    createInterface(this.#child[output]).on("line", (line) => {
      this.#log(line, output);
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

/** Returns whether a URL answers with a success status within 5 s. */
export async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
