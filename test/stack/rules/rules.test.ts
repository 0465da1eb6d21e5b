// Tests Prometheus' rules with promtool. Each rule has cases.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { promtool, skipWithout } from "../../tools.ts";

const run = promisify(execFile);
const project = fileURLToPath(new URL("../../../", import.meta.url));
const ruleFiles = globSync(`${project}stack/rules/*.yml`);
const nativeRuleFiles = globSync(`${project}stack/rules/native/*.yml`);
const caseFiles = globSync(`${project}test/stack/rules/cases/*.yml`);

const tool = await promtool();
const needsTool = { skip: skipWithout(tool, "promtool") };

/** Runs promtool and fails with its output if it reports errors. */
async function check(...args: string[]): Promise<void> {
  assert.ok(tool, "promtool is missing");
  await run(tool, args).catch(({ stdout, stderr }) => assert.fail(`${stdout}${stderr}`));
}

test("promtool accepts the rules", needsTool, async () => {
  await check("check", "rules", "--lint=all", "--lint-fatal", ...ruleFiles, ...nativeRuleFiles);
});

describe("the rules produce the results that their cases expect", needsTool, () => {
  for (const file of caseFiles) {
    test(basename(file), () => check("test", "rules", file));
  }
});

test("every recording rule has a case", () => {
  const queries = [...textOf(caseFiles).matchAll(/expr: (?:\|-\n +)?(.+)/g)];
  const queried = new Set(queries.map(([, query]) => query).join("\n").match(/\w+(:\w+)+/g));
  const missing = namesAfter("record", textOf(ruleFiles)).filter((name) => !queried.has(name));
  assert.deepEqual(missing, []);
});

test("every alert has a case in which it fires and one in which it doesn't", () => {
  const cases = textOf(caseFiles);
  const missing = namesAfter("alert", textOf(ruleFiles)).filter((name) => {
    const mention = `alertname: ${name}\n +exp_alerts:`;
    return ["\n", " \\[\\]\n"].some((alerts) => !new RegExp(mention + alerts).test(cases));
  });
  assert.deepEqual(missing, []);
});

function textOf(files: readonly string[]): string {
  return files.map((file) => readFileSync(file, "utf8")).join("");
}

function namesAfter(key: "record" | "alert", rules: string): string[] {
  const names = [...rules.matchAll(new RegExp(`^ +- ${key}: (\\S+)$`, "gm"))];
  assert.ok(names.length > 0, `no ${key} in the rules`);
  return names.map(([, name = ""]) => name);
}
