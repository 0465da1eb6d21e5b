/** Programs in one file that a bundler made from the sources. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { installTools, runTool } from "../../npm/tools.ts";
import { SCRIPT } from "../../telemetry/page/script.ts";
import { PROJECT, run, RUNTIMES } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { newFolder } from "./program.ts";

const execute = promisify(execFile);

const skip = skipWithout(
  await toolsAreInstalled() ? "rolldown" : undefined,
  "the package registry",
);

test("a bundle of a program that uses telemetry.ts prints no help", { skip }, async (t) => {
  const folder = newFolder(t, tmpdir());
  const program = `import { startTelemetry } from ${JSON.stringify(join(PROJECT, "telemetry.ts"))};
    const options = { defaultServiceName: "bundled", defaultPrometheusPort: 0 };
    await (await startTelemetry(options)).shutdown();
    console.log("done");`;
  writeFileSync(join(folder, "program.ts"), program);
  const options = ["--platform=node", "--minify", "--dir=bundle", "--log-level=silent"];
  await runTool(folder, "rolldown/bin/cli.mjs", "program.ts", ...options);
  for (const runtime of RUNTIMES) {
    await t.test(`on ${runtime}`, async () => {
      const [file = "", ...args] = run(runtime, "bundle/program.js");
      const { stdout } = await execute(file, args, { cwd: folder });
      assert.equal(stdout, "done\n");
    });
  }
});

/** Prints whether the page's script is the one that its policy allows, and how long it is. */
const PAGE_PROGRAM = `import { createHash } from "node:crypto";
import { startTelemetry } from ${JSON.stringify(join(PROJECT, "telemetry.ts"))};
const telemetry = await startTelemetry({ defaultServiceName: "x", defaultPrometheusPort: 0 });
const response = await fetch(new URL("/", telemetry.endpoint));
const [, script] = /<script>([^]*)<\\/script>/.exec(await response.text());
const hash = createHash("sha256").update(script).digest("base64");
const policy = response.headers.get("content-security-policy");
await telemetry.shutdown();
console.log(policy.includes(hash), script.length);
`;

test("the live page has its whole script in a minified bundle and in a single binary", {
  skip,
}, async (t) => {
  const folder = newFolder(t, tmpdir());
  writeFileSync(join(folder, "program.ts"), PAGE_PROGRAM);
  const options = ["--platform=node", "--minify", "--dir=bundle", "--log-level=silent"];
  await runTool(folder, "rolldown/bin/cli.mjs", "program.ts", ...options);
  await execute("bun", ["build", "--compile", "program.ts", "--outfile=binary"], { cwd: folder });
  const commands = [...RUNTIMES.map((runtime) => run(runtime, "bundle/program.js")), ["./binary"]];
  for (const [file = "", ...args] of commands) {
    const { stdout } = await execute(file, args, { cwd: folder });
    assert.equal(stdout, `true ${SCRIPT.length}\n`, file);
  }
});

function toolsAreInstalled(): Promise<boolean> {
  return installTools().then(() => true, () => false);
}
