import { spawn } from "node:child_process";

/** Reports the progress of a long build and can abort it. */
export interface Progress {
  /** Receives lines about the progress. */
  readonly log: (line: string) => void;
  /** Aborts the build. */
  readonly signal?: AbortSignal;
}

/** Where a build step runs. */
export interface BuildContext {
  readonly folder: string;
  /** Environment variables on top of this process's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: Progress;
}

const HEARTBEAT_MS = 15_000;
/** Lines of a failed step's output in the error. The cause is usually at the end. */
const SHOWN_LINES = 20;

/**
 * Runs a program to completion and logs every 15 s that it is still running.
 *
 * @param title Names the step in progress lines.
 * @param usual How long a slow step usually takes, with the unit.
 * @throws {Error} with the last lines of its output when the program fails or does not start; the
 * signal's reason when {@link Progress.signal} aborts it.
 */
export async function runStep(
  title: string,
  [file = "", ...args]: readonly string[],
  { folder, environment, progress: { log, signal } }: BuildContext,
  usual?: string,
): Promise<void> {
  signal?.throwIfAborted();
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  const expected = usual === undefined ? "" : `, usually ${usual}`;

  // Its own process group, so that the compilers it starts can be killed with it.
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
  const kill = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  signal?.addEventListener("abort", kill);
  process.on("exit", kill);
  log(`${title}${expected}`);
  const heartbeat = setInterval(() => log(`${title}: ${seconds()}${expected}`), HEARTBEAT_MS);
  try {
    const code = await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, killer) => resolve(killer ?? code));
    });
    signal?.throwIfAborted();
    if (code !== 0) throw new Error(output.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n"));
    log(`${title}: done in ${seconds()}`);
  } finally {
    clearInterval(heartbeat);
    signal?.removeEventListener("abort", kill);
    process.off("exit", kill);
  }
}
