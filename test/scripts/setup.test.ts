/** `npm run setup`, which `npm run demo` and others begin with, needs a network only to install. */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { PROJECT, Script } from "../support/script.ts";

/** No registry listens there. */
const OFFLINE = { npm_config_registry: "http://127.0.0.1:1", npm_config_fetch_retries: "0" };
const FILES = [
  ...["package.json", "package-lock.json", ".npmrc"],
  ...["runtimes/package.json", "runtimes/package-lock.json", "runtimes/.npmrc"],
  "runtimes/setup.mjs",
];

test("what is installed needs neither npm nor a network", async (t) => {
  const script = new Script(t, ["npm", "run", "--silent", "setup"], { environment: OFFLINE });
  assert.equal(await script.exit(), 0);
  assert.equal(script.stdout + script.stderr, "");
});

test("npm without a network fails in one line that says what to do", async (t) => {
  const folder = copy(t);
  const script = new Script(t, ["npm", "run", "--silent", "setup"], {
    cwd: folder,
    environment: { ...OFFLINE, npm_config_cache: join(folder, "cache") },
  });
  assert.equal(await script.exit(), 1);
  assert.match(script.stdout, /^Installing the libraries with npm \(.*, usually .* s\)\n$/);
  assert.match(
    script.stderr,
    /^npm cannot install the libraries: .*ECONNREFUSED.*; check the network and `npm config get registry`, then run .*\n$/,
  );
});

/** The commands of someone with one runtime and nothing else, and what that can run instead. */
const ALONE: Readonly<Record<string, readonly [command: readonly string[], instead: string]>> = {
  bun: [["bun", "run", "demo"], "`bun run server.ts` and `bun run client.ts`"],
  deno: [["deno", "task", "demo"], "`deno run -A server.ts` and `deno run -A client.ts`"],
};
for (const [runtime, [command, instead]] of Object.entries(ALONE)) {
  test(`with ${runtime} alone, the demo says how to get npm, and what works without`, async (t) => {
    const folder = copy(t);
    cpSync(join(PROJECT, "deno.json"), join(folder, "deno.json"));
    symlinkSync(join(PROJECT, "runtimes/node_modules/.bin", runtime), join(folder, "bin", runtime));
    const script = new Script(t, [...command], {
      cwd: folder,
      environment: { PATH: join(folder, "bin"), NO_COLOR: "1" },
    });
    assert.equal(await script.exit(), 1);
    const [line = ""] = script.stderr.match(/^npm cannot .*$/m) ?? [];
    assert.match(line, /: npm is missing; install Node 20 or later \(https:\/\/nodejs\.org\)/);
    assert.ok(line.endsWith(instead), script.stderr);
  });
}

test("deno task has npm's commands, and none that its own shell cannot run", () => {
  const read = (file: string) => JSON.parse(readFileSync(join(PROJECT, file), "utf8"));
  const { tasks } = read("deno.json") as { tasks: Record<string, string> };
  const { scripts } = read("package.json") as { scripts: Record<string, string> };
  assert.deepEqual(Object.keys(tasks), Object.keys(scripts));
  for (const [name, task] of Object.entries(tasks)) {
    // Deno runs the script itself when a task is `npm run`.
    const [, script] = /^npm (?:run )?(\S+)$/.exec(task) ?? [];
    assert.doesNotMatch(script === undefined ? task : scripts[script]!, /\bexec /, name);
  }
});

test("each command that needs the pinned Node installs it first", () => {
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  for (const [name, script] of Object.entries<string>(scripts)) {
    if (!script.includes("run.mjs node ")) continue;
    assert.match(script, /^node runtimes\/setup\.mjs && /, name);
  }
});

test("npm's work shows how long it takes", async (t) => {
  const folder = copy(t);
  writeFileSync(join(folder, "bin/npm"), "#!/bin/sh\nsleep 0.5\n", { mode: 0o755 });
  // A tenth of a second for each 10 s.
  const clock = "const real = setInterval; globalThis.setInterval = (f, ms) => real(f, ms / 100)";
  const script = new Script(
    t,
    [process.execPath, "--import", `data:text/javascript,${clock}`, "runtimes/setup.mjs"],
    { cwd: folder, environment: { PATH: `${folder}/bin:${process.env["PATH"]}` } },
  );
  // There is no Deno.
  assert.equal(await script.exit(), 1);
  for (const what of ["the libraries", "the runtimes"]) {
    const title = `Installing ${what} with npm`;
    const pattern =
      `^${title} \\(.*, usually .* s\\)\n(${title}: \\d+ s\n)+${title}: done in \\d+ s$`;
    assert.match(script.stdout, new RegExp(pattern, "m"));
  }
  assert.match(script.stderr, /^Deno cannot load the libraries: .*deno is missing; .*\n$/);
});

/** Changes of an installed copy by the folder that they are in, where npm has work to do then. */
const CHANGES: Readonly<Record<string, readonly [folder: string, change: (at: string) => void]>> = {
  "a version in the lockfile": [".", (at) => {
    edit(`${at}/package-lock.json`, ({ packages }) => {
      packages["node_modules/zod"].version = "4.6.6";
    });
  }],
  "a package that is new in the lockfile": ["runtimes", (at) => {
    edit(`${at}/package-lock.json`, ({ packages }) => {
      packages["node_modules/new"] = { version: "1.0.0", integrity: "sha512-" };
    });
  }],
  "a package that is no longer in the lockfile": [".", (at) => {
    edit(`${at}/package-lock.json`, ({ packages }) => delete packages["node_modules/zod"]);
  }],
  "a dependency in package.json": [".", (at) => {
    edit(`${at}/package.json`, ({ dependencies }) => dependencies.zod = "4.6.6");
  }],
  "a package's folder": [".", (at) => rmSync(`${at}/node_modules/zod`, { recursive: true })],
  "a runtime that an install script makes": ["runtimes", (at) => {
    rmSync(`${at}/node_modules/.bin/bun`);
  }],
  "this platform's binary": ["runtimes", (at) => {
    edit(`${at}/node_modules/.package-lock.json`, ({ packages }) => {
      const binary = Object.keys(packages).find((path) => path.includes("@oven/bun-"));
      delete packages[binary!];
    });
  }],
  "everything": ["runtimes", (at) => rmSync(`${at}/node_modules`, { recursive: true })],
};

test("npm does not install again after no change", async (t) => {
  assert.equal(await installs(t, installedCopy(t)), "");
});

for (const [name, [changed, change]] of Object.entries(CHANGES)) {
  test(`npm installs again after a change: ${name}`, async (t) => {
    const folder = installedCopy(t);
    change(join(folder, changed));
    assert.equal(await installs(t, folder), `${changed}\n`);
  });
}

/** Runs the setup of a folder with a stand-in for npm. Returns where that would have installed. */
async function installs(t: TestContext, folder: string): Promise<string> {
  const log = join(folder, "installs");
  writeFileSync(log, "");
  writeFileSync(join(folder, "bin/npm"), `#!/bin/sh\necho "$3" >> "${log}"\n`, { mode: 0o755 });
  const script = new Script(t, [process.execPath, "runtimes/setup.mjs"], {
    cwd: folder,
    environment: { PATH: `${folder}/bin:${process.env["PATH"]}` },
  });
  // After an installation that did nothing, there may be no Deno.
  await script.exit();
  return readFileSync(log, "utf8");
}

/** Copies what an installation needs into a new folder. */
function copy(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "setup-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of FILES) cpSync(join(PROJECT, file), join(folder, file));
  mkdirSync(join(folder, "bin"));
  return folder;
}

/** Like {@link copy}, and as if npm had installed everything: each package is there, but empty. */
function installedCopy(t: TestContext): string {
  const folder = copy(t);
  for (const part of [".", "runtimes"]) {
    const record = "node_modules/.package-lock.json";
    const from = join(PROJECT, part);
    const { packages, ...others } = JSON.parse(readFileSync(join(from, record), "utf8"));
    for (const path of Object.keys(packages)) {
      mkdirSync(join(folder, part, path), { recursive: true });
      writeFileSync(join(folder, part, path, "package.json"), "{}");
    }
    writeFileSync(join(folder, part, record), JSON.stringify({ ...others, packages }));
    mkdirSync(join(folder, part, "node_modules/.bin"));
    const programs = Object.values<{ bin?: Record<string, string> }>(packages)
      .flatMap(({ bin = {} }) => Object.keys(bin));
    for (const program of new Set(programs)) {
      symlinkSync("/bin/true", join(folder, part, "node_modules/.bin", program));
    }
  }
  return folder;
}

// deno-lint-ignore no-explicit-any -- a file of npm
function edit(file: string, change: (content: any) => void): void {
  const content = JSON.parse(readFileSync(file, "utf8"));
  change(content);
  writeFileSync(file, JSON.stringify(content));
}
