/**
 * Runs all checks and tests: formatting, lint and types, then the tests of modules on each of the
 * three runtimes, then the tests of packages and scripts, which start all three runtimes themselves.
 * The last line counts the results.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";

/** Tests of modules, which run on each runtime. */
const moduleTests = globSync(
  "test/{log,plugin,prometheus,telemetry,telemetry/*,echo,interop,conformance,tls}/*.test.ts",
);
/** Tests of what others install and build, which run on Node only. */
const packageTests = globSync("test/{versions,clients,xds,package,foreign,layout}/*.test.ts");
/** Tests with a Collector and Prometheus, which run on Node only and mostly wait for scrapes. */
const stackTests = globSync("test/{stack,stack/rules}/*.test.ts");
/**
 * Tests of the scripts, which run on Node only. They start many processes with short intervals, and
 * some load the machine, so that nothing else may run at the same time.
 */
const scriptTests = globSync("test/{scripts,chaos,security}/*.test.ts");

interface Step {
  readonly name: string;
  /** The commands of the step, which run at the same time. */
  readonly commands: readonly (readonly string[])[];
  /** Matches the numbers of tests in the output. A step without this counts as one test. */
  readonly counts?: { passed: RegExp; failed: RegExp; skipped: RegExp };
}

const nodeCounts = {
  passed: /^ℹ pass (\d+)$/m,
  failed: /^ℹ fail (\d+)$/m,
  skipped: /^ℹ skipped (\d+)$/m,
};
const bunCounts = { passed: /^ (\d+) pass$/m, failed: /^ (\d+) fail$/m, skipped: /^ (\d+) skip$/m };
const denoCounts = { passed: /(\d+) passed/, failed: /(\d+) failed/, skipped: /(\d+) ignored/ };

// Tests mostly wait for sockets and processes, so two files run at once. Node and Bun give each file
// its own process. Deno's parallel files are threads, which share the environment's variables: it gets
// two processes instead.
const nodeTest = ["node", "--test", "--test-reporter=spec"];
const steps: Step[] = [
  { name: "format", commands: [["deno", "fmt", "--check", "--quiet"]] },
  { name: "lint", commands: [["deno", "lint", "--quiet"]] },
  { name: "types (tsc)", commands: [["tsc", "-p", "."]] },
  { name: "types (deno)", commands: [["deno", "check", "--quiet", "."]] },
  {
    name: "modules on node",
    commands: [[...nodeTest, "--test-concurrency=2", ...moduleTests]],
    counts: nodeCounts,
  },
  {
    name: "modules on bun",
    commands: [[
      "bun",
      "test",
      "--parallel=2",
      "--timeout=60000",
      ...moduleTests.map((path) => `./${path}`),
    ]],
    counts: bunCounts,
  },
  {
    name: "modules on deno",
    commands: [0, 1].map((half) => [
      "deno",
      "test",
      "-A",
      "--no-check",
      "--quiet",
      ...moduleTests.filter((_, index) => index % 2 === half),
    ]),
    counts: denoCounts,
  },
  {
    name: "packages",
    commands: [[...nodeTest, "--test-concurrency=2", ...packageTests]],
    counts: nodeCounts,
  },
  {
    name: "stack",
    commands: [[...nodeTest, "--test-concurrency=2", ...stackTests]],
    counts: nodeCounts,
  },
  {
    name: "scripts",
    commands: [[...nodeTest, "--test-concurrency=1", ...scriptTests]],
    counts: nodeCounts,
  },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const failed: string[] = [];
for (const step of steps) {
  console.log(`\n== ${step.name}`);
  const started = performance.now();
  const results = await Promise.all(step.commands.map((command) => run(command)));
  let broken = 0;
  for (const { code, output } of results) {
    const count = (pattern: RegExp | undefined) => Number(pattern?.exec(output)?.[1] ?? 0);
    const passed = step.counts ? count(step.counts.passed) : Number(code === 0);
    const failures = step.counts ? count(step.counts.failed) : Number(code !== 0);
    total.passed += passed;
    total.skipped += count(step.counts?.skipped);
    // A runner that exits with an error but counts no failure, or that ran nothing, has failed too.
    broken += failures + (failures === 0 && (code !== 0 || passed === 0) ? 1 : 0);
  }
  total.failed += broken;
  if (broken > 0) failed.push(step.name);
  console.log(`== ${step.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

if (failed.length > 0) console.log(`\nFailed: ${failed.join(", ")}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** Runs a command. Prints its output at once, and returns it without colours. */
function run(
  [command = "", ...args]: readonly string[],
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.on("error", (error) => resolve({ code: 1, output: String(error) }));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
