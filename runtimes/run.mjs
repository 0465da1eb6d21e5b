// Runs a command with this folder's programs first on the PATH, so that `bun`, `deno`, `node` and
// `tsc` have the pinned versions. Plain JavaScript, because the node that npm runs on may be older.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("node_modules", import.meta.url));
// On Windows `.bin` has only batch files, which need a shell.
const folders = process.platform === "win32" ? ["bun/bin", "deno", "node/bin"] : [".bin"];
const path = [...folders.map((folder) => join(modules, folder)), process.env.PATH];
const [command, ...args] = process.argv.slice(2);
const child = spawn(command, args, {
  stdio: "inherit",
  // An unset or empty PATH must not become an entry that refers to the current folder.
  env: { ...process.env, PATH: path.filter(Boolean).join(delimiter) },
});
child.on("error", () => {
  console.error(`${command}: not found; run "npm run setup" first`);
  process.exitCode = 1;
});
// The terminal sends Ctrl-C to the child as well, so this process only waits for its end.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => {
  process.exitCode = signal ? 128 + constants.signals[signal] : code;
});
