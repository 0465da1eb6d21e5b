/** What GitHub runs and reads: workflows, updates of dependencies, and forms. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import project from "../../package.json" with { type: "json" };
import runtimes from "../../runtimes/package.json" with { type: "json" };
import { PROJECT } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { actionlint } from "./actionlint.ts";

const run = promisify(execFile);

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: object;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Update {
  readonly "package-ecosystem": string;
  readonly directory?: string;
  readonly directories?: readonly string[];
  readonly groups?: Readonly<Record<string, { patterns: readonly string[] }>>;
  readonly ignore?: readonly { "dependency-name": string; versions?: readonly string[] }[];
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly body: readonly { type: string; id?: string; attributes: { label?: string } }[];
}

/** Parses a file with Bun, which has a parser of YAML. */
function yaml<T>(path: string): T {
  const program = "console.log(JSON.stringify(Bun.YAML.parse(await Bun.stdin.text())))";
  const input = readFileSync(join(PROJECT, path));
  return JSON.parse(execFileSync("bun", ["-e", program], { input, encoding: "utf8" }));
}

function tracked(...patterns: string[]): string[] {
  const command = ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns];
  return execFileSync("git", command, { cwd: PROJECT, encoding: "utf8" }).trim().split("\n");
}

const WORKFLOWS = globSync(".github/workflows/*.yml", { cwd: PROJECT }).sort();
const checker = await actionlint();

test("actionlint accepts the workflows", { skip: skipWithout(checker, "actionlint") }, async () => {
  // Without programs that are not everywhere.
  const options = ["-no-color", "-shellcheck=", "-pyflakes="];
  await run(checker!, [...options, ...WORKFLOWS], { cwd: PROJECT })
    .catch(({ stdout }) => assert.fail(stdout));
});

for (const path of WORKFLOWS) {
  suite(path, () => {
    const text = readFileSync(join(PROJECT, path), "utf8");
    const { permissions, concurrency, jobs } = yaml<Workflow>(path);
    const steps = Object.values(jobs).flatMap(({ steps = [] }) => steps);

    test("jobs have their own permissions and a time limit", () => {
      assert.deepEqual(permissions, {});
      assert.ok(concurrency !== undefined);
      for (const [name, job] of Object.entries(jobs)) {
        assert.ok(job.permissions !== undefined, name);
        assert.ok(job.uses !== undefined || job["timeout-minutes"] !== undefined, name);
      }
    });

    test("actions are pinned by commit, with their version", () => {
      const pinned = /^\s*- uses: actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
      const lines = text.split("\n").filter((line) => /^\s*- uses:/.test(line));
      assert.equal(lines.length, steps.filter(({ uses }) => uses !== undefined).length);
      for (const line of lines) assert.match(line, pinned);
    });

    test("no credentials stay in the checkout", () => {
      for (const { uses = "", with: inputs = {} } of steps) {
        if (uses.startsWith("actions/checkout@")) {
          assert.equal(inputs["persist-credentials"], false);
        }
      }
    });

    test("Node is the pinned one, or the oldest that npm may run on", () => {
      const [pinned = ""] = runtimes.dependencies.node.split(".");
      const guide = readFileSync(join(PROJECT, "CONTRIBUTING.md"), "utf8");
      const oldest = /You need Node (\d+) or later/.exec(guide)?.[1];
      for (const { uses = "", with: inputs = {} } of steps) {
        if (!uses.startsWith("actions/setup-node@")) continue;
        assert.ok([pinned, oldest].includes(`${inputs["node-version"]}`));
      }
    });

    test("each command exists", () => {
      const commands = steps.map(({ run = "" }) => run).join("\n");
      for (const [, name = ""] of commands.matchAll(/\bnpm run ([\w:-]+)/g)) {
        assert.ok(name in project.scripts, name);
      }
      for (const [, file = ""] of commands.matchAll(/\bnode ([\w/.-]+\.(?:ts|mjs))/g)) {
        assert.ok(existsSync(join(PROJECT, file)), file);
      }
    });
  });
}

test("CI runs the README's command, and each action has one version", () => {
  const { test: all } = yaml<Workflow>(".github/workflows/ci.yml").jobs;
  assert.ok(all?.steps?.some(({ run }) => run === "npm test"));
  assert.match(readFileSync(join(PROJECT, "README.md"), "utf8"), /^npm test$/m);
  const uses = WORKFLOWS.flatMap((path) =>
    readFileSync(join(PROJECT, path), "utf8").match(/actions\/[\w-]+@.*/g) ?? []
  );
  const names = new Set(uses.map((line) => line.split("@")[0]));
  assert.equal(new Set(uses).size, names.size);
});

suite(".github/dependabot.yml", () => {
  const { version, updates } = yaml<{ version: number; updates: Update[] }>(
    ".github/dependabot.yml",
  );
  const foldersOf = (ecosystem: string) =>
    updates.filter((update) => update["package-ecosystem"] === ecosystem)
      .flatMap((
        { directory, directories = [] },
      ) => [...directories, ...directory ? [directory] : []])
      .sort();
  const withFile = (name: string) =>
    tracked(name, `**/${name}`).map((file) => join("/", dirname(file))).sort();

  test("covers each lockfile but those of test/versions and test/foreign, whose old versions stay", () => {
    assert.equal(version, 2);
    const locked = withFile("package-lock.json")
      .filter((folder) => !/^\/test\/(versions|foreign)\b/.test(folder));
    assert.deepEqual(foldersOf("npm"), locked);
    assert.deepEqual(foldersOf("gomod"), withFile("go.mod"));
    assert.deepEqual(foldersOf("github-actions"), ["/"]);
  });

  test("updates OpenTelemetry as one set, and leaves Deno at the pinned version", () => {
    const root = updates.find(({ directories }) => directories?.includes("/"));
    assert.deepEqual(root?.groups?.["opentelemetry"]?.patterns, ["@opentelemetry/*"]);
    const deno = updates.find(({ directory }) => directory === "/runtimes")?.ignore
      ?.find((rule) => rule["dependency-name"] === "deno");
    assert.deepEqual(deno?.versions, [`>${runtimes.dependencies.deno}`]);
  });
});

suite("issue forms", () => {
  const files = globSync(".github/ISSUE_TEMPLATE/*.yml", { cwd: PROJECT });
  for (const file of files.filter((file) => basename(file) !== "config.yml")) {
    test(file, () => {
      const { name, description, body } = yaml<Form>(file);
      assert.ok(name !== "" && description !== "");
      const fields = body.filter(({ type }) => type !== "markdown");
      for (const { type, id, attributes } of fields) {
        assert.match(type, /^(input|textarea|dropdown|checkboxes)$/);
        assert.ok(id && attributes.label, type);
      }
      for (const key of [fields.map(({ id }) => id), fields.map((f) => f.attributes.label)]) {
        assert.equal(new Set(key).size, fields.length);
      }
    });
  }

  test("config.yml is valid", () => {
    const config = yaml<object>(".github/ISSUE_TEMPLATE/config.yml");
    assert.deepEqual(config, { blank_issues_enabled: false });
  });
});
