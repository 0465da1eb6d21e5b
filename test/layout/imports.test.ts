/** The direction of imports between the folders of the project. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../support/script.ts";

/** What each folder or script may import, besides itself. Only `test` may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "log": [],
  "tls": ["log"],
  "plugin": ["log"],
  "prometheus": ["log", "tls"],
  "telemetry": ["log", "tls", "plugin", "prometheus", "telemetry.ts"],
  "telemetry.ts": ["log", "plugin", "telemetry"],
  "echo": ["tls", "telemetry"],
  "server.ts": ["log", "echo", "telemetry", "telemetry.ts"],
  "client.ts": ["log", "echo", "telemetry.ts"],
  "stack": ["log"],
  "npm": [],
  "bench": ["log", "plugin", "prometheus", "echo", "stack", "npm"],
};

/** Matches static and dynamic imports of the project's own files. */
const RELATIVE_IMPORT = /\b(?:from|import)[\s(]*"(\.[^"]+)"/g;

test("folders import each other in one direction only", () => {
  const files = execFileSync("git", ["ls-files", "*.ts"], { cwd: PROJECT, encoding: "utf8" })
    .trim().split("\n").filter((file) => !file.startsWith("test/"));
  const imports = files.flatMap((file) =>
    [...readFileSync(join(PROJECT, file), "utf8").matchAll(RELATIVE_IMPORT)]
      .map(([, path = ""]) => ({ file, imported: join(dirname(file), path) }))
  );
  assert.ok(imports.length > 100);
  const forbidden = imports.filter(({ file, imported }) => {
    const [from, to] = [topLevel(file), topLevel(imported)];
    return from !== to && !MAY_IMPORT[from]?.includes(to);
  });
  assert.deepEqual(forbidden, []);
});

/** The first part of a path: a folder of the project, or a script at its root. */
function topLevel(path: string): string {
  return path.split("/")[0]!;
}
