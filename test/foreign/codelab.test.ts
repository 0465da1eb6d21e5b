/**
 * The codelab, `docs/codelab.md`: follows the page on each runtime. Every command runs, every edit is
 * made in the programs of `start`, and each shown output and graph is compared with the real one.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, suite, test } from "node:test";
import { promisify } from "node:util";
import { runTool } from "../../npm/tools.ts";
import { CODELAB_QUERIES, graphUrl } from "../../stack/queries.ts";
import { newFolder } from "../package/program.ts";
import { installedTarball } from "../package/tarball.ts";
import { realPrometheus } from "../stack/programs.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { PROJECT, run, RUNTIMES, Script } from "../support/script.ts";
import type { Owner, Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { assertShown, blocksOf, edited, numbersOf } from "./codelab-page.ts";

const execute = promisify(execFile);

const PAGE = readFileSync(join(PROJECT, "docs/codelab.md"), "utf8");
const START = filesOf("start");
const COMPLETED = filesOf("completed");
/** Blocks for a shell that need no program of the codelab. */
const isInstallation = (command: string) => /^(npm|cp|mv|cd) /.test(command);
/** The window of the second query that is used instead of a minute, in seconds. */
const WINDOW = 5;
const PATIENCE_MS = 30_000;

const built = await installedTarball();
const prometheus = built && await realPrometheus();
const folder = prometheus && await installed();
const skip = skipWithout(folder, "the package registry or Prometheus");

suite("docs/codelab.md", { skip, concurrency: true }, () => {
  for (const runtime of RUNTIMES) {
    test(`leads to what it shows on ${runtime}`, async (t) => {
      await new Reader(t, runtime, await withOwnPorts()).follow();
    });
  }

  test("npm leaves the package.json of completed/", () => {
    const manifest = readFileSync(join(folder!, "package.json"), "utf8");
    const withoutNumbers = (text: string) => text.replaceAll(/\d+/g, "N");
    assert.equal(withoutNumbers(manifest), withoutNumbers(COMPLETED["package.json"]!));
    assert.match(PAGE, new RegExp(`^mv ${basename(built!.tarball)} `, "m"));
  });

  test("the programs of start/ and completed/ have correct types", async () => {
    for (const [name, files] of Object.entries({ start: START, completed: COMPLETED })) {
      write(join(folder!, name), files);
    }
    const programs = ["start", "completed"].flatMap((name) =>
      ["client.ts", "server.ts"].map((program) => join(name, program))
    );
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"];
    await runTool(folder!, "typescript/bin/tsc", ...options, "--target", "es2023", ...programs)
      .catch(({ stdout }) => assert.fail(stdout));
  });

  test("the programs of start/ are short and know nothing of metrics", () => {
    for (const program of ["client.ts", "server.ts"]) {
      assert.ok(START[program]!.split("\n").length < 60, program);
      assert.doesNotMatch(START[program]!, /from ".*telemetry|metric/i);
    }
  });

  test("its links draw its queries", () => {
    const links = PAGE.match(/http:\/\/localhost:9090\/graph\?[^)]+/g);
    assert.deepEqual(
      links,
      CODELAB_QUERIES.map((query) => graphUrl("http://localhost:9090", query)),
    );
  });
});

/** Someone who follows the page on one runtime. */
class Reader {
  readonly #owner: Owner;
  readonly #runtime: Runtime;
  readonly #local: (text: string) => string;
  readonly #folder: string;
  readonly #programs = new Map<string, Script>();
  readonly #queries: string[] = [];
  #files: Record<string, string>;
  /** What the latest command has printed. */
  #output: () => string | Promise<string> = () => "";

  /** @param local puts a text's ports into those that this reader may use */
  constructor(owner: Owner, runtime: Runtime, local: (text: string) => string) {
    this.#owner = owner;
    this.#runtime = runtime;
    this.#local = local;
    this.#folder = join(folder!, runtime);
    this.#files = localFiles(START, local);
  }

  async follow(): Promise<void> {
    try {
      await this.#follow();
    } catch (cause) {
      const outputs = [...this.#programs].map(([name, { stdout, stderr }]) =>
        `-- ${name}\n${stdout}${stderr}`
      );
      throw new Error(`${(cause as Error).message}\n${outputs.join("\n")}`, { cause });
    }
  }

  async #follow(): Promise<void> {
    const page = this.#local(PAGE);
    const [, before = [], then = []] = [[], ...numbersOf(page, "Graph")];
    for (const block of blocksOf(page)) {
      const { language, text } = block;
      if (language === "sh") await this.#run(text.trim());
      else if (language === "text") await this.#see(text);
      else if (language === "promql") this.#queries.push(text.trim());
      else if (language === "yaml") this.#save(block.before, text);
      else if (language === "ts") {
        // The exercise comes after the graphs, and changes the finished programs.
        if (block.before.includes("everything from")) {
          this.#compareFiles();
          await this.#seeGraphs(before);
        }
        this.#files = edited(this.#files, block);
      } else assert.fail(`nothing checks a block of ${language}`);
    }
    assert.deepEqual(this.#queries, CODELAB_QUERIES);
    await this.#seeGraphs(then);
    await this.#stop(() => true);
  }

  async #run(command: string): Promise<void> {
    const [program = "", argument = "", ...others] = command.split(" ");
    if (isInstallation(command)) return;
    if (program === "curl") {
      this.#output = async () => (await execute(program, [argument, ...others])).stdout;
    } else if (program === "node") {
      await this.#start(argument, run(this.#runtime, argument));
    } else if (program === "prometheus") {
      const listen = this.#local("--web.listen-address=127.0.0.1:9090");
      await this.#start(program, [prometheus!, argument, ...others, listen]);
    } else assert.fail(`nothing runs ${command}`);
  }

  /** Starts a program with the files as they are now. If it runs already, stops it before. */
  async #start(name: string, command: readonly string[]): Promise<void> {
    // A client that loses its server fails.
    await this.#stop((running) => running === name || name === "server.ts");
    write(this.#folder, this.#files);
    const script = new Script(this.#owner, command, { cwd: this.#folder });
    this.#programs.set(name, script);
    this.#output = () => `${script.stdout}${name === "prometheus" ? "" : script.stderr}`;
  }

  /** Stops programs as Ctrl-C does, the latest first. They must have reported no error. */
  async #stop(isChosen: (name: string) => boolean): Promise<void> {
    for (const [name, program] of [...this.#programs].reverse()) {
      if (!isChosen(name)) continue;
      await program.stop("SIGINT");
      this.#programs.delete(name);
      if (name !== "prometheus") assert.equal(program.stderr, "", name);
    }
  }

  async #see(shown: string): Promise<void> {
    await eventually(async () => assertShown(await this.#output(), shown), PATIENCE_MS);
  }

  #save(paragraph: string, text: string): void {
    const [, file = ""] = /as `([\w.]+)`/.exec(paragraph) ?? assert.fail(paragraph);
    this.#files = { ...this.#files, [file]: text };
  }

  #compareFiles(): void {
    const { "package.json": _start, ...files } = this.#files;
    const { "package.json": _completed, ...completed } = localFiles(COMPLETED, this.#local);
    assert.deepEqual(withoutBlankLines(files), withoutBlankLines(completed));
  }

  /** Compares the graphs with a column of the page's table: median, fast calls, all calls. */
  async #seeGraphs([median, fast, all]: readonly number[]): Promise<void> {
    const [quantile = "", increase = ""] = this.#queries;
    const perMinute = 60 / WINDOW;
    await eventually(async () => {
      assert.deepEqual((await this.#query(quantile)).map(({ value }) => value), [median]);
      const buckets = await this.#query(increase.replace("[1m]", `[${WINDOW}s]`));
      assert.equal(buckets.length, 42);
      for (const bound of ["2.0", "5.0"]) {
        assert.ok(PAGE.includes(`le="${bound}"`) && buckets.some(({ le }) => le === bound), bound);
      }
      for (const { le, value } of buckets) {
        if (Number.parseFloat(le) <= 2) assert.equal(value, fast);
        // A window as short as this one sees one call more or less.
        else assert.ok(Math.abs(value * perMinute / all! - 1) < 0.5, `${value * perMinute}`);
      }
    }, PATIENCE_MS);
  }

  async #query(query: string): Promise<{ le: string; value: number }[]> {
    const url = this.#local("http://127.0.0.1:9090/api/v1/query");
    const response = await fetch(`${url}?${new URLSearchParams({ query })}`);
    const { data } = await response.json() as {
      data: { result: { metric: { le?: string }; value: [number, string] }[] };
    };
    return data.result.map(({ metric: { le = "" }, value: [, value] }) => ({
      le,
      value: Number(value),
    }));
  }
}

/** Runs the page's installations. Returns the new folder, undefined without a package registry. */
async function installed(): Promise<string | undefined> {
  const home = newFolder({ after: (cleanUp) => after(cleanUp) }, tmpdir());
  const clone = join(home, "clone");
  write(join(clone, "docs/codelab/start"), START);
  // `test/package` runs the real one.
  const pack = `cp ${built!.tarball} .`;
  writeFileSync(join(clone, "package.json"), JSON.stringify({ scripts: { pack } }));
  const commands = blocksOf(PAGE).filter(({ language }) => language === "sh")
    .map(({ text }) => text).filter(isInstallation);
  const options = { prefer_offline: "true", ignore_scripts: "true", audit: "false", fund: "false" };
  const settings = Object.entries(options).map(([name, value]) => [`npm_config_${name}`, value]);
  try {
    await execute("sh", ["-e", "-c", commands.join("")], {
      cwd: clone,
      env: { ...process.env, ...Object.fromEntries(settings) },
    });
  } catch (error) {
    // Any other failure is one of the page.
    if (!/npm error (network|code E(NOTFOUND|AI_AGAIN|CONN|TIMEDOUT))/.test(String(error))) {
      throw error;
    }
    return undefined;
  }
  return join(home, "codelab");
}

/** Returns a function that puts the codelab's ports into free ones, and lets Prometheus look often. */
async function withOwnPorts(): Promise<(text: string) => string> {
  const ports = new Map<string, number>();
  for (const port of ["50051", "9464", "9465", "9090"]) ports.set(port, await freePort());
  return (text) =>
    text.replace(/\b(50051|946[45]|9090)\b/g, (port) => `${ports.get(port)}`)
      .replace("scrape_interval: 5s", "scrape_interval: 1s");
}

function filesOf(name: string): Record<string, string> {
  const folder = join(PROJECT, "docs/codelab", name);
  const read = (file: string) => [file, readFileSync(join(folder, file), "utf8")];
  return Object.fromEntries(readdirSync(folder).map(read));
}

function localFiles(
  files: Readonly<Record<string, string>>,
  local: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [name, local(text)]));
}

/** Leaves out the blank lines, which a reader puts where they like. */
function withoutBlankLines(files: Readonly<Record<string, string>>): Record<string, string> {
  return localFiles(files, (text) => text.replaceAll(/\n{2,}/g, "\n"));
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}
