import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** The runtimes that every script runs on. */
export const RUNTIMES = ["bun", "deno", "node"] as const;
export type Runtime = typeof RUNTIMES[number];

/** The project's folder. */
export const PROJECT = fileURLToPath(new URL("../../", import.meta.url));

/** Runs cleanups at its end: the context of a test, or `node:test` for a whole file. */
export interface Owner {
  after(cleanUp: () => Promise<void>): void;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string>>;

/** Returns the command of the README that runs a script. */
export function run(runtime: Runtime, file: string, ...args: string[]): string[] {
  const runner = { bun: ["bun", "run"], deno: ["deno", "run", "-A"], node: ["node"] }[runtime];
  return [...runner, file, ...args];
}

/** How long to wait for a process to print or exit. Generous, because the machine may be busy. */
const PATIENCE_MS = 60_000;

/** A running command with its output so far. */
export class Script {
  stdout = "";
  stderr = "";
  readonly #command: readonly string[];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #exit: Promise<number | NodeJS.Signals>;

  /**
   * Starts a command. It is killed when the owner is done, if it still runs.
   *
   * @param environment Variables in addition to the {@link inherited} ones.
   * @param cwd The working directory, by default the project's folder.
   */
  constructor(
    owner: Owner,
    command: readonly string[],
    { environment = {}, cwd = PROJECT }: { environment?: Environment; cwd?: string } = {},
  ) {
    this.#command = command;
    const [file = "", ...args] = command;
    this.#child = spawn(file, args, {
      cwd,
      env: { ...inherited(), ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.stdout += text);
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => this.stderr += text);
    this.#exit = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => resolve(code ?? signal!));
    });
    owner.after(async () => {
      this.signal("SIGKILL");
      await this.#exit;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends a signal. Does nothing once the process has exited. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stops reading an output, as `head` does. Resolves once the process can notice. */
  async stopReading(output: "stdout" | "stderr"): Promise<void> {
    this.#child[output].destroy();
    await once(this.#child[output], "close");
  }

  /** Sends a signal and waits for the exit code. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.signal(signal);
    return this.exit();
  }

  /** Waits for the exit code, or the signal that ended the process. */
  exit(patienceMs = PATIENCE_MS): Promise<number | NodeJS.Signals> {
    return this.#within(this.#exit, "does not exit", patienceMs);
  }

  /** Waits until standard output matches. Returns the first group, or the whole match without one. */
  printed(pattern: RegExp): Promise<string> {
    return this.#seen(() => pattern.exec(this.stdout), `does not print ${pattern}`);
  }

  /** Waits until standard error matches. Returns the first group, or the whole match without one. */
  printedError(pattern: RegExp): Promise<string> {
    return this.#seen(() => pattern.exec(this.stderr), `does not print the error ${pattern}`);
  }

  #seen(find: () => RegExpExecArray | null, failure: string): Promise<string> {
    const match = new Promise<string>((resolve, reject) => {
      const look = () => {
        const match = find();
        if (match !== null) resolve(match[1] ?? match[0]);
      };
      this.#child.stdout.on("data", look);
      this.#child.stderr.on("data", look);
      this.#exit.then(() => reject(this.#failure(`${failure}, exits`)), reject);
      look();
    });
    return this.#within(match, failure);
  }

  async #within<T>(work: Promise<T>, failure: string, patienceMs = PATIENCE_MS): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#failure(failure)), patienceMs);
    });
    try {
      return await Promise.race([work, patience]);
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(text: string): Error {
    return new Error(
      `${this.#command.join(" ")} ${text}\n-- stdout\n${this.stdout}\n-- stderr\n${this.stderr}`,
    );
  }
}

/**
 * This process's environment without the variables of the scripts, of the test runner, and of npm's
 * node, which Bun takes even if it is not on the `PATH`.
 */
function inherited(): Record<string, string | undefined> {
  const others = /^(ECHO_|GRPC_|OTEL_|NODE_TEST_|NODE$|npm_node_execpath$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !others.test(name)));
}

/** A running `server.ts`. */
export interface RunningServer {
  readonly script: Script;
  /** The `ECHO_ADDR` for clients of the server. */
  readonly address: string;
  readonly metricsUrl: string;
}

const ANY_PORTS: Environment = { ECHO_ADDR: "127.0.0.1:0", OTEL_EXPORTER_PROMETHEUS_PORT: "0" };

/** Starts `server.ts` on free ports and waits until it listens. By default it answers at once. */
export async function startServer(
  owner: Owner,
  runtime: Runtime,
  environment: Environment = {},
): Promise<RunningServer> {
  const script = new Script(owner, run(runtime, "server.ts"), {
    environment: { ...ANY_PORTS, ECHO_DELAY_MS: "0", ...environment },
  });
  const address = await script.printed(/^Serving on (.+)\n/m);
  return { script, address, metricsUrl: await script.printed(/^Metrics at (.+)\n/m) };
}

/** A running `client.ts`. */
export interface RunningClient {
  readonly script: Script;
  readonly metricsUrl: string;
}

/** Starts `client.ts` with its metrics on a free port. */
export async function startClient(
  owner: Owner,
  runtime: Runtime,
  environment: Environment,
): Promise<RunningClient> {
  const script = new Script(owner, run(runtime, "client.ts"), {
    environment: { ...ANY_PORTS, ...environment },
  });
  return { script, metricsUrl: await script.printed(/^Metrics at (.+)\n/m) };
}
