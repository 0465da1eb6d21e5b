import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/**
 * Runs npm and returns what it printed.
 *
 * @throws {Error} If it fails. The message has its error output.
 */
export async function npm(cwd: string, ...args: string[]): Promise<string> {
  // On Windows npm is a batch file, which only a shell can run.
  const shell = process.platform === "win32";
  const quoted = shell ? args.map((arg) => `"${arg}"`) : args;
  const { stdout } = await execute("npm", quoted, { cwd, shell, maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

/** Installs the tools of this folder's lockfile, unless they are already there. */
export async function installTools(): Promise<void> {
  const lock = await readFile(join(FOLDER, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex");
  const stamp = join(FOLDER, "node_modules", ".lock-hash");
  if (await readFile(stamp, "utf8").catch(() => "") === hash) return;
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await npm(FOLDER, "ci", "--prefer-offline", "--ignore-scripts", ...quiet);
  await writeFile(stamp, hash);
}

/**
 * Runs a tool's script with this Node and returns what it printed.
 *
 * @param script The path of the script below `node_modules`.
 * @throws {Error} If it fails. The error has `stdout` and `stderr`.
 */
export async function runTool(cwd: string, script: string, ...args: string[]): Promise<string> {
  const path = join(FOLDER, "node_modules", script);
  const { stdout } = await execute(process.execPath, [path, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: "1" },
  });
  return stdout;
}
