import { spawn } from "node:child_process";

/** How a build that takes long is watched and ended. */
export interface Progress {
  /** Takes lines that say how far it is. */
  readonly log: (line: string) => void;
  /** Ends the build. */
  readonly signal?: AbortSignal;
}

/** Where a step of a build runs. */
export interface Workplace {
  readonly folder: string;
  /** What it has besides this process's environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: Progress;
}

const HEARTBEAT_MS = 15_000;
/** Of the output of a step that fails; what went wrong is at its end. */
const SHOWN_LINES = 20;

/**
 * Runs a program to its end and says every 15 s that it still does.
 *
 * @param title What it does, for the progress lines.
 * @throws {Error} with the end of its output, when it fails or cannot be started; with the signal's
 * reason, when it is ended by {@link Progress.signal}.
 */
export async function runStep(
  title: string,
  [file = "", ...args]: readonly string[],
  { folder, environment, progress: { log, signal } }: Workplace,
): Promise<void> {
  signal?.throwIfAborted();
  const started = Date.now();
  const sayHow = () => log(`${title}: ${Math.round((Date.now() - started) / 1000)} s`);

  // A process group of its own, to end the compilers that it starts too.
  const child = spawn(file, args, {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  const end = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  signal?.addEventListener("abort", end);
  process.on("exit", end);
  log(title);
  const heartbeat = setInterval(sayHow, HEARTBEAT_MS);
  try {
    const code = await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, killer) => resolve(killer ?? code));
    });
    signal?.throwIfAborted();
    if (code !== 0) throw new Error(output.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n"));
    sayHow();
  } finally {
    clearInterval(heartbeat);
    signal?.removeEventListener("abort", end);
    process.off("exit", end);
  }
}
