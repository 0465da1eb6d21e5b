/** The documents: links and paths lead somewhere, and the README stays short. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../support/script.ts";

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: PROJECT,
  encoding: "utf8",
}).trim().split("\n");
const documents = files.filter((file) => file.endsWith(".md"));

/** The text of a document without blocks of code. */
function prose(document: string): string {
  return readFileSync(join(PROJECT, document), "utf8").replace(/^```[^]*?^```/gm, "");
}

/** The anchor that a heading has on GitHub. */
function anchor(heading: string): string {
  return heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-");
}

for (const document of documents) {
  test(`${document}: each link leads somewhere`, () => {
    for (const [, link = ""] of prose(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", fragment] = link.split("#");
      const target = path === "" ? document : join(dirname(document), path);
      assert.ok(existsSync(join(PROJECT, target)), link);
      if (fragment === undefined) continue;
      const headings = [...prose(target).matchAll(/^#+ (.+)$/gm)].map(([, text]) => anchor(text!));
      assert.ok(headings.includes(fragment), link);
    }
  });

  // The changelog names what there was.
  if (document === "CHANGELOG.md") continue;
  test(`${document}: each path of the project exists`, () => {
    const folders = [...new Set(files.filter((file) => file.includes("/")))]
      .map((file) => file.split("/", 1)[0]);
    for (const [, path = ""] of prose(document).matchAll(/`([\w.-]+\/[\w./-]*)`/g)) {
      const [folder] = path.split("/", 1);
      if (!folders.includes(folder)) continue;
      assert.ok(
        existsSync(join(PROJECT, path)) || existsSync(join(PROJECT, dirname(document), path)),
        path,
      );
    }
  });
}

test("the README is short", () => {
  const lines = readFileSync(join(PROJECT, "README.md"), "utf8").split("\n");
  assert.ok(lines.length <= 200, `${lines.length} lines`);
  const long = lines.filter((line) => line.length > 120 && !line.startsWith("|"));
  assert.deepEqual(long, []);
});
