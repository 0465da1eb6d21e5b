// Installs the libraries and the runtimes, if they are not installed as the lockfiles say. `npm
// install` alone would ask the registry for the packages of all other platforms each time, which
// takes minutes without a network. Plain JavaScript, because the node that npm runs on may be older.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

const project = fileURLToPath(new URL("../", import.meta.url));
const windows = process.platform === "win32";

for (const folder of [".", "runtimes"]) {
  if (isInstalled(join(project, folder))) continue;
  const name = folder === "." ? "the libraries" : "the runtimes";
  console.log(`Installing ${name} with npm`);
  run(`npm cannot install ${name}`, "npm", [
    ...["install", "--prefix", folder, "--prefer-offline"],
    ...["--no-audit", "--no-fund", "--loglevel=error"],
    // Without a network, npm would wait for 70 s before it says so.
    ...["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"],
  ]);
}
// Deno has a cache of its own. This takes a moment if everything is there.
const deno = join(project, "runtimes/node_modules", windows ? "deno/deno.exe" : ".bin/deno");
run("Deno cannot load the libraries", deno, ["cache", "--quiet", "client.ts", "server.ts"]);

/** Runs a program; if it fails, ends this one with the reason in one line. */
function run(failure, command, args) {
  const { status, stderr, error } = spawnSync(command, args, {
    cwd: project,
    stdio: ["ignore", "inherit", "pipe"],
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    // There npm is a batch file, which only a shell can run.
    shell: windows && command === "npm",
  });
  if (status === 0) return;
  console.error(`${failure}: ${error?.message ?? reason(stderr)}`);
  process.exit(1);
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
