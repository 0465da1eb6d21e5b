import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readSettings, variables } from "../../../echo/settings.ts";
import { helpText, markdownTable } from "../../../telemetry/settings/mod.ts";

const NAMES = Object.keys(readSettings({}));

test("the help has every variable with its default, meaning and allowed values", () => {
  const [title, ...lines] = helpText(variables).split("\n");
  assert.equal(title, "Environment variables:");
  assert.deepEqual(
    lines.filter((_, index) => index % 2 === 0).map((line) => /^ {2}(\w+)/.exec(line)?.[1]),
    NAMES,
  );
  for (const line of lines.filter((_, index) => index % 2 === 1)) {
    assert.match(line, /^ {6}\S.*\. Allowed: .+\.$/);
  }
  assert.ok(lines.includes("  OTEL_METRIC_EXPORT_INTERVAL (default: 60000)"));
  assert.ok(
    lines.includes(
      "      Client: calls started per second; 0 is no limit. Allowed: a number from 0 to 1000000.",
    ),
  );
  // A variable without a default shows none.
  assert.ok(lines.includes("  OTEL_RESOURCE_ATTRIBUTES"));
});

test("the Markdown table has the same rows", () => {
  const [head, rule, ...rows] = markdownTable(variables).split("\n");
  assert.equal(head, "| Variable | Default | Meaning | Allowed |");
  assert.equal(rule, "| --- | --- | --- | --- |");
  assert.deepEqual(
    rows.map((row) => row.split("|")[1]?.trim()),
    NAMES.map((name) => `\`${name}\``),
  );
  assert.ok(
    rows.includes(
      "| `ECHO_QPS` | 0 | Client: calls started per second; 0 is no limit | a number from 0 to 1000000 |",
    ),
  );
});

test("every default in the help is the value that is read", () => {
  // Defaults that are sentences are left out.
  const defaults = [...helpText(variables).matchAll(/^ {2}(\w+) \(default: ([\w.:]+)\)$/gm)];
  assert.ok(defaults.length > 10);
  const unset = readSettings({});
  for (const [, name = "", value = ""] of defaults) {
    const key = name as keyof typeof unset;
    // ECHO_CONCURRENCY and ECHO_QPS stay undefined here; the client uses 1 and 0.
    if (unset[key] === undefined) continue;
    assert.deepEqual(readSettings({ [name]: value })[key], unset[key], name);
  }
});

test("docs/settings.md has this table", () => {
  const settings = readFileSync(new URL("../../../docs/settings.md", import.meta.url), "utf8");
  const table = /<!-- variables -->\n([^]*)\n<!-- \/variables -->/.exec(settings)?.[1] ?? "";
  assert.equal(unaligned(table), unaligned(markdownTable(variables)));
});

/** Undoes the alignment of columns by the formatter. */
function unaligned(table: string): string {
  return table.trim().replaceAll(/ +/g, " ").replaceAll(/-+/g, "-");
}
