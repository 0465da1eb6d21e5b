// Installs the libraries and the runtimes, if they are not installed as the lockfiles say. `npm
// install` alone would ask the registry for the packages of all other platforms each time, which
// takes minutes without a network. Plain JavaScript, because the node that npm runs on may be older.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

const project = fileURLToPath(new URL("../", import.meta.url));
const windows = process.platform === "win32";
const HEARTBEAT_MS = 10_000;
const NETWORK =
  /\b(E[A-Z]*(CONN|HOST|NET|ADDR|TIMEDOUT|NOTFOUND|AI_AGAIN)\w*|network|certificate)\b/;

let hasInstalled = false;
for (const folder of [".", "runtimes"]) {
  if (isInstalled(join(project, folder))) continue;
  const [name, usual] = folder === "."
    ? ["the libraries", "50 MB, usually 5 to 30 s"]
    : ["the runtimes", "Bun, Deno and Node, 450 MB, usually 10 to 60 s"];
  await run({
    title: `Installing ${name} with npm`,
    usual,
    failure: `npm cannot install ${name}`,
    advice: (problem) => npmAdvice(problem, folder),
    command: "npm",
    args: [
      ...["install", "--prefix", folder, "--prefer-offline"],
      ...["--no-audit", "--no-fund", "--loglevel=error"],
      // Without a network, npm would wait for 70 s before it says so.
      ...["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"],
    ],
  });
  hasInstalled = true;
}
// Deno has a cache of its own. This takes a moment if everything is there.
await run({
  title: "Loading the libraries into Deno's cache",
  usual: "usually 2 to 15 s",
  isQuiet: !hasInstalled,
  failure: "Deno cannot load the libraries",
  advice: () => "check the network, then run the same command again",
  command: join(project, "runtimes/node_modules", windows ? "deno/deno.exe" : ".bin/deno"),
  args: ["cache", "--quiet", "client.ts", "server.ts"],
});

/**
 * Runs a program and prints when it begins, every 10 s, and when it ends; if quiet, only every 10 s.
 * If it fails, ends this process with the reason and what to do in one line.
 */
async function run({ title, usual, isQuiet = false, failure, advice, command, args }) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  if (!isQuiet) console.log(`${title} (${usual})`);
  const heartbeat = setInterval(() => console.log(`${title}: ${seconds()}`), HEARTBEAT_MS);
  const child = spawn(command, args, {
    cwd: project,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
    // There npm is a batch file, which only a shell can run.
    shell: windows && command === "npm",
  });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text) => output += text);
  const problem = await new Promise((resolve) => {
    child.on(
      "error",
      (error) => resolve(error.code === "ENOENT" ? `${command} is missing` : error.message),
    );
    child.on("close", (status) => resolve(status === 0 ? undefined : reason(output)));
  });
  clearInterval(heartbeat);
  if (problem !== undefined) {
    console.error(`${failure}: ${problem}; ${advice(problem)}`);
    process.exit(1);
  }
  if (!isQuiet) console.log(`${title}: done in ${seconds()}`);
}

/** Returns what to do about a problem of npm. */
function npmAdvice(problem, folder) {
  if (problem === "npm is missing") {
    const runner = process.versions.bun ? "bun run" : process.versions.deno ? "deno run -A" : "";
    const advice =
      "install Node 20 or later (https://nodejs.org), which brings it, and run the same " +
      "command again";
    if (runner === "") return advice;
    return `${advice}; without npm, the Echo scripts run as they are, in two terminals: ` +
      `\`${runner} server.ts\` and \`${runner} client.ts\``;
  }
  return NETWORK.test(problem)
    ? "check the network and `npm config get registry`, then run the same command again"
    : `\`npm install --prefix ${folder}\` shows all that npm says`;
}

/** Returns the line of an output that tells most: npm begins with codes, and Deno with "error". */
function reason(output) {
  const lines = output.split("\n").map((line) => line.replace(/^(npm )?error:? ?/i, "").trim())
    .filter((line) => line !== "");
  return lines.find((line) => !/^(code|syscall|errno|path|A complete log)\b/.test(line)) ??
    lines[0] ?? "no reason given";
}

/** Returns whether a folder has exactly the packages of its lockfile that this platform needs. */
function isInstalled(folder) {
  const read = (file) => {
    const path = join(folder, file);
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  };
  const manifest = read("package.json");
  const { "": root = {}, ...locked } = read("package-lock.json").packages ?? {};
  // npm's own record of what it has installed.
  const { packages: installed = {} } = read("node_modules/.package-lock.json");

  const kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
  return kinds.every((kind) => isDeepStrictEqual(root[kind], manifest[kind])) &&
    Object.keys(installed).every((path) => path in locked) &&
    Object.entries(locked).every(([path, wanted]) => {
      const found = installed[path];
      if (found === undefined) return wanted.optional === true && !isForThisPlatform(wanted);
      return found.version === wanted.version && found.integrity === wanted.integrity &&
        existsSync(join(folder, path, "package.json")) && hasPrograms(folder, path, wanted);
    });
}

/** Returns whether the programs of a package are there; an install script may have to make them. */
function hasPrograms(folder, path, { bin = {} }) {
  const isAtTop = path.lastIndexOf("node_modules/") === 0;
  return !isAtTop ||
    Object.keys(bin).every((name) => existsSync(join(folder, "node_modules/.bin", name)));
}

function isForThisPlatform({ os, cpu, libc }) {
  return allows(os, process.platform) && allows(cpu, process.arch) &&
    (libc === undefined || process.platform !== "linux" || allows(libc, thisLibc()));
}

/** Returns whether a list such as `["linux", "darwin"]` or `["!win32"]` allows a value. */
function allows(list = [], value) {
  const only = list.filter((item) => !item.startsWith("!"));
  return !list.includes(`!${value}`) && (only.length === 0 || only.includes(value));
}

function thisLibc() {
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime ? "glibc" : "musl";
}
