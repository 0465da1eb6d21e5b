import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { collectorBinary } from "../../stack/collector/binary.ts";
import { eventually } from "../support/eventually.ts";
import { Script } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";

const real = await realCollector();

test("the real Collector is built once", {
  skip: skipWithout(real, "the Collector"),
}, async () => {
  const lines: string[] = [];
  assert.equal(await collectorBinary({ log: (line) => lines.push(line) }), real);
  assert.deepEqual(lines, []);
});

test("a Collector on the PATH is used, otelcol-contrib first", async (t) => {
  const { bin } = await machine(t);
  await program(bin, "otelcol", "");
  assert.equal(await collectorBinary({ log: assert.fail }), join(bin, "otelcol"));
  await program(bin, "otelcol-contrib", "");
  assert.equal(await collectorBinary({ log: assert.fail }), join(bin, "otelcol-contrib"));
});

test("a build reports its progress, is cached and is not repeated", async (t) => {
  const { bin, cache, calls } = await machine(t);
  await program(bin, "go", GO);
  const lines: string[] = [];
  const binary = await collectorBinary({ log: (line) => lines.push(line) });
  assert.equal(await readFile(binary, "utf8"), "whole");
  assert.ok(binary.startsWith(cache), binary);
  assert.match(
    lines.map((line) => `${line}\n`).join(""),
    new RegExp(
      "^No Collector found; building one with Go, once, which usually takes .* minutes\n" +
        "Getting the Collector Builder, usually 1 minute\n" +
        "Getting the Collector Builder: done in \\d+ s\n" +
        "Building the Collector, usually .* minutes\n" +
        "Building the Collector: done in \\d+ s\n" +
        "Built .*\n$",
    ),
  );
  assert.match(await calls(), /^install go\.opentelemetry\.io\/collector\/cmd\/builder@v[\d.]+\n$/);

  assert.equal(await collectorBinary({ log: assert.fail }), binary);
  assert.equal((await calls()).split("\n").length, 2);
  assert.deepEqual(await readdir(join(binary, "..")), ["otelcol"]);
});

test("two concurrent builds both end with a complete Collector", async (t) => {
  const { bin } = await machine(t);
  await program(bin, "go", GO);
  const [one, other] = await Promise.all([
    collectorBinary({ log: () => {} }),
    collectorBinary({ log: () => {} }),
  ]);
  assert.equal(one, other);
  assert.equal(await readFile(one, "utf8"), "whole");
  assert.deepEqual(await readdir(join(one, "..")), ["otelcol"]);
});

test("the cache is never relative to the current folder, and other users can't read it", async (t) => {
  const { bin, folder } = await machine(t);
  await program(bin, "go", GO);
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  for (const [index, relative] of ["relative", "./relative", "", undefined].entries()) {
    const home = join(folder, `home-${index}`);
    process.env["HOME"] = home;
    if (relative === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = relative;
    const binary = await collectorBinary({ log: () => {} });
    assert.ok(binary.startsWith(join(home, ".cache/grpc-js-opentelemetry/")), binary);
    for (let path = binary; path !== folder; path = dirname(path)) {
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    }
  }
});

test("without a home folder, the error gives advice", async (t) => {
  const { bin } = await machine(t);
  await program(bin, "go", GO);
  Object.assign(process.env, { HOME: "relative", XDG_CACHE_HOME: "relative" });
  await assert.rejects(
    collectorBinary({ log: () => {} }),
    /^Error: There is no home folder: set XDG_CACHE_HOME to an absolute path$/,
  );
});

/** Possible broken entries of the cache. */
const BROKEN: Record<string, (path: string) => Promise<void>> = {
  "a folder": (path) => mkdir(join(path, "folder"), { recursive: true }).then(() => {}),
  "an empty file": (path) => writeFile(path, "", { mode: 0o755 }),
  "a file that may not be executed": (path) => writeFile(path, "half", { mode: 0o644 }),
};
for (const [what, put] of Object.entries(BROKEN)) {
  test(`${what} in the cache leads to a new build`, async (t) => {
    const { bin } = await machine(t);
    await program(bin, "go", GO);
    const binary = await collectorBinary({ log: () => {} });
    await rm(binary);
    await put(binary);
    assert.equal(await collectorBinary({ log: () => {} }), binary);
    assert.equal(await readFile(binary, "utf8"), "whole");
    assert.deepEqual(await readdir(join(binary, "..")), ["otelcol"]);
  });
}

test("Go gets the absolute path of the cache, because it rejects relative ones", async (t) => {
  const { folder, bin, calls } = await machine(t);
  process.env["XDG_CACHE_HOME"] = "relative";
  await program(
    bin,
    "go",
    GO.replace(/process\.argv\.slice.*?\)\.join\(" "\)/, "process.env.XDG_CACHE_HOME"),
  );
  await collectorBinary({ log: () => {} });
  assert.equal(await calls(), `${folder}/.cache\n`);
});

test("a failed build reports Go's output and leaves no files", async (t) => {
  const { bin, cache } = await machine(t);
  await program(bin, "go", `console.error("go: requires go >= 1.25.0"); process.exit(1)`);
  await assert.rejects(
    collectorBinary({ log: () => {} }),
    /could not be built[^]*otelcol-contrib[^]*requires go >= 1\.25\.0/,
  );
  assert.deepEqual(await leftovers(cache), []);
});

test(
  "an aborted build ends at once and leaves no files",
  { timeout: 30_000 },
  async (t) => {
    const { bin, cache, builderStarted } = await machine(t);
    await program(bin, "go", GO);
    process.env["FAKE_HANG"] = "yes";
    const stop = new AbortController();
    t.mock.timers.enable({ apis: ["setInterval"] });
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const build = collectorBinary({ log, signal: stop.signal });
    const pid = await Promise.race([builderStarted(), build.then(() => assert.fail("was built"))]);
    t.mock.timers.tick(15_000);
    assert.match(lines.at(-1)!, /^Building the Collector: \d+ s, usually .* minutes$/);
    stop.abort();
    await assert.rejects(build, { name: "AbortError" });
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    assert.deepEqual(await leftovers(cache), []);
  },
);

test("a killed build leaves no Collector, and the next build works", async (t) => {
  const { bin, cache, builderStarted } = await machine(t);
  await program(bin, "go", GO);
  const script = new Script(t, [process.execPath, "stack/collector/run.ts"], {
    environment: { FAKE_HANG: "yes" },
  });
  const pid = await builderStarted();
  await script.stop("SIGKILL");
  process.kill(pid, "SIGKILL");
  assert.deepEqual(
    (await leftovers(cache)).filter((path) => /collector-\w+\/otelcol$/.test(path)),
    [],
  );
  const binary = await collectorBinary({ log: () => {} });
  assert.equal(await readFile(binary, "utf8"), "whole");
});

test("without Go, the error gives advice", async (t) => {
  await machine(t);
  const script = new Script(t, [process.execPath, "stack/collector/run.ts"]);
  assert.equal(await script.exit(), 1);
  assert.equal(script.stdout, "");
  assert.match(
    script.stderr,
    /^The Collector has to be built, and Go is missing\. Install Go 1\.\d+ /,
  );
  assert.match(script.stderr, /or put otelcol-contrib on the PATH/);
  assert.equal(script.stderr.trimEnd().split("\n").length, 1);
});

/**
 * A fake Go: `go install` puts a fake builder into GOBIN. The builder writes an incomplete
 * Collector and its process id, then completes the Collector, or hangs if FAKE_HANG is set.
 */
const GO = `
const fs = require("node:fs");
fs.appendFileSync(process.env.FAKE_CALLS, process.argv.slice(2).join(" ") + "\\n");
fs.writeFileSync(process.env.GOBIN + "/builder", "#!" + process.execPath + \`
const fs = require("node:fs");
fs.mkdirSync("build");
fs.writeFileSync("build/otelcol", "half");
const unfinished = process.env.FAKE_PID + process.pid;
fs.writeFileSync(unfinished, String(process.pid));
fs.renameSync(unfinished, process.env.FAKE_PID);
if (process.env.FAKE_HANG) setTimeout(() => {}, 60_000);
else fs.writeFileSync("build/otelcol", "whole");
\`, { mode: 0o755 });
`;

/** Gives this process a PATH with an empty folder for programs, and an empty cache. */
async function machine(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "collector-binary-"));
  const [bin, cache, pid, log] = ["bin", "cache", "pid", "calls"].map((name) =>
    join(folder, name)
  ) as [string, string, string, string];
  await mkdir(bin);
  const ours = {
    PATH: bin,
    HOME: folder,
    XDG_CACHE_HOME: cache,
    FAKE_PID: pid,
    FAKE_CALLS: log,
  };
  const before = Object.keys(ours).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, ours);
  t.after(async () => {
    delete process.env["FAKE_HANG"];
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await rm(folder, { recursive: true });
  });
  return {
    folder,
    bin,
    cache,
    calls: () => readFile(log, "utf8"),
    /** Waits for the builder and returns its process id. */
    builderStarted: () => eventually(async () => Number(await readFile(pid, "utf8")), 30_000),
  };
}

async function program(folder: string, name: string, code: string): Promise<void> {
  await writeFile(join(folder, name), `#!${process.execPath}\n${code}`, { mode: 0o755 });
}

/** Returns the files that a build left behind. */
async function leftovers(cache: string): Promise<string[]> {
  const entries = await readdir(cache, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) =>
    join(entry.parentPath, entry.name)
  );
}
