import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { renderOpenMetrics, renderPrometheusText } from "../../prometheus/mod.ts";
import { openMetricsParser, promtool, skipWithout } from "../tools.ts";
import { record } from "./recorded.ts";

const checker = await promtool();
const python = await openMetricsParser();

/** Parses OpenMetrics, prints the numbers of families and samples, and fails on any error. */
const STRICT = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.buffer.read().decode()))
print(len(families), sum(len(family.samples) for family in families))
`;

/** Runs a program with a text as its input, and returns its exit code and output. */
async function run(file: string, args: string[], input: string) {
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  child.stdin.end(input);
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, output: output.join("").trim() };
}

for (const data of ["rich", "conflicts", "numbers", "empty"]) {
  test(`promtool accepts text format 0.0.4: ${data}`, {
    skip: skipWithout(checker, "promtool"),
  }, async () => {
    assert.ok(checker, "promtool is missing");
    const text = renderPrometheusText(await record(data).collect());
    const { code, output } = await run(checker, ["check", "metrics"], text);
    // Exit code 3 is advice on style: names in the data are bad on purpose, but not those of gRPC.
    assert.ok(code === 0 || code === 3, `${code}: ${output}`);
    assert.doesNotMatch(output, /grpc|target_info/);
  });
}

test("promtool finds an error", { skip: skipWithout(checker, "promtool") }, async () => {
  assert.ok(checker, "promtool is missing");
  const { code, output } = await run(checker, ["check", "metrics"], 'a{b="1",b="2"} 1\n');
  assert.equal(code, 1, output);
});

test("a strict parser accepts the OpenMetrics text", {
  skip: skipWithout(python, "the OpenMetrics parser of Python"),
}, async () => {
  assert.ok(python, "the OpenMetrics parser of Python is missing");
  for (const data of ["rich", "conflicts", "empty"]) {
    const written = renderOpenMetrics(await record(data).collect());
    const lines = written.trimEnd().split("\n");
    const families = lines.filter((line) => line.startsWith("# TYPE ")).length;
    const samples = lines.filter((line) => !line.startsWith("#")).length;
    const { code, output } = await run(python, ["-c", STRICT], written);
    assert.equal(output, `${families} ${samples}`);
    assert.equal(code, 0);
  }
});

test("a strict parser finds an error", {
  skip: skipWithout(python, "the OpenMetrics parser of Python"),
}, async () => {
  assert.ok(python, "the OpenMetrics parser of Python is missing");
  const { code, output } = await run(python, ["-c", STRICT], "# TYPE a counter\na 1\n# EOF\n");
  assert.match(output, /ValueError/);
  assert.equal(code, 1);
});
