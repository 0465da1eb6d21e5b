import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { renderOpenMetrics, renderPrometheusText } from "../../prometheus/mod.ts";
import { openMetricsParser, promtool, skipWithout } from "../tools.ts";
import { record } from "./recorded.ts";

const checker = await promtool();
const python = await openMetricsParser();

/** Reads OpenMetrics, prints how many families and samples there are; fails on anything wrong. */
const STRICT = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.buffer.read().decode()))
print(len(families), sum(len(family.samples) for family in families))
`;

/** What a program says of a text. */
async function ask(file: string, args: string[], input: string) {
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  child.stdin.end(input);
  const said = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, said: said.join("").trim() };
}

for (const data of ["rich", "conflicts", "numbers", "empty"]) {
  test(`promtool finds nothing wrong with text format 0.0.4: ${data}`, {
    skip: skipWithout(checker, "promtool"),
  }, async () => {
    assert.ok(checker, "promtool is missing");
    const text = renderPrometheusText(await record(data).collect());
    const { code, said } = await ask(checker, ["check", "metrics"], text);
    // 3 is advice on style, which the names in the data are bad at on purpose. gRPC's are not.
    assert.ok(code === 0 || code === 3, `${code}: ${said}`);
    assert.doesNotMatch(said, /grpc|target_info/);
  });
}

test("promtool does find what is wrong", { skip: skipWithout(checker, "promtool") }, async () => {
  assert.ok(checker, "promtool is missing");
  const { code, said } = await ask(checker, ["check", "metrics"], 'a{b="1",b="2"} 1\n');
  assert.equal(code, 1, said);
});

test("a strict parser reads OpenMetrics", {
  skip: skipWithout(python, "the OpenMetrics parser of Python"),
}, async () => {
  assert.ok(python, "the OpenMetrics parser of Python is missing");
  for (const data of ["rich", "conflicts", "empty"]) {
    const written = renderOpenMetrics(await record(data).collect());
    const lines = written.trimEnd().split("\n");
    const families = lines.filter((line) => line.startsWith("# TYPE ")).length;
    const samples = lines.filter((line) => !line.startsWith("#")).length;
    const { code, said } = await ask(python, ["-c", STRICT], written);
    assert.equal(said, `${families} ${samples}`);
    assert.equal(code, 0);
  }
});

test("a strict parser refuses what is wrong", {
  skip: skipWithout(python, "the OpenMetrics parser of Python"),
}, async () => {
  assert.ok(python, "the OpenMetrics parser of Python is missing");
  const { code, said } = await ask(python, ["-c", STRICT], "# TYPE a counter\na 1\n# EOF\n");
  assert.match(said, /ValueError/);
  assert.equal(code, 1);
});
