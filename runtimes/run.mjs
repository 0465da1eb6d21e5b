// Runs a command with the runtimes of this folder first on the PATH, so that `bun`, `deno`, `node`
// and `tsc` are the pinned ones. Plain JavaScript: the node that npm brings may be an older one.
import { spawn } from "node:child_process";
import { delimiter } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("node_modules/.bin", import.meta.url));
const [command, ...args] = process.argv.slice(2);
const child = spawn(command, args, {
  stdio: "inherit",
  // An empty entry, or "undefined", would be a folder in the current one.
  env: { ...process.env, PATH: [bin, process.env.PATH].filter(Boolean).join(delimiter) },
});
child.on("error", () => {
  console.error(`${command}: not found; run "npm run setup" first`);
  process.exitCode = 1;
});
// Ctrl-C reaches the child from the terminal; this process only waits for it to stop.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exitCode = signal ? 1 : code);
