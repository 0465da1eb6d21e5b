/**
 * The page of the codelab, in parts that a test can follow.
 *
 * @module
 */
import assert from "node:assert/strict";

/** A block of code of the page. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** The paragraph before it, on one line; empty after another block. */
  readonly before: string;
}

/** An edit of a file that a paragraph asks for. */
interface Edit {
  readonly file: string;
  readonly where: "below" | "replace" | "replace everything from";
  /** The line of the file that the paragraph shows. */
  readonly line: string;
}

/** Returns the blocks of code of a page in Markdown. */
export function blocksOf(page: string): Block[] {
  const parts = page.split(/^```(\w+)\n([^]*?)^```$/m);
  const blocks: Block[] = [];
  for (let i = 0; i + 2 < parts.length; i += 3) {
    const [prose = "", language = "", text = ""] = parts.slice(i, i + 3);
    const before = prose.trim().split("\n\n").at(-1)!.replaceAll(/\s+/g, " ");
    blocks.push({ language, text, before });
  }
  return blocks;
}

/** Returns the columns of numbers of the table with this heading, from left to right. */
export function numbersOf(page: string, heading: string): number[][] {
  const [, table = ""] =
    new RegExp(`^\\| ${heading}.*\\n\\|.*\\n((?:\\|.*\\n)+)`, "m").exec(page) ??
      assert.fail(`no table ${heading}`);
  const rows = table.trim().split("\n").map((row) => row.split("|").slice(2, -1).map(Number));
  return rows[0]!.map((_, column) => rows.map((row) => row[column]!));
}

/** Returns the files with the edit that the paragraph before a block asks for. */
export function edited(
  files: Readonly<Record<string, string>>,
  { before, text }: Block,
): Record<string, string> {
  const { file, where, line } = editOf(before);
  const content = files[file] ?? assert.fail(`no ${file}: ${before}`);
  const parts = content.split(`\n${line}\n`);
  assert.equal(parts.length, 2, `${file} does not have the line once: ${line}`);
  const [above, below] = parts;
  const result = {
    below: `${above}\n${line}\n${text}${below}`,
    replace: `${above}\n${text}${below}`,
    "replace everything from": `${above}\n${text}`,
  }[where];
  return { ...files, [file]: result };
}

/** Reads what a paragraph such as "In `client.ts`, below `line`, add:" asks for. */
function editOf(paragraph: string): Edit {
  const found = /In `([\w.]+)`, (below|replace everything from|replace) (`+)(.+?)\3/.exec(
    paragraph,
  );
  assert.ok(found !== null, `no file and line: ${paragraph}`);
  const [, file = "", where, , line = ""] = found;
  return { file, where: where as Edit["where"], line };
}

/**
 * Asserts that an output begins as the page shows it. A line "…" stands for any lines. Measured
 * numbers may differ; zeros, labels and bounds of buckets may not.
 */
export function assertShown(output: string, shown: string): void {
  const chunks = masked(shown).split(/^…\n/m);
  const text = masked(output);
  let end = 0;
  for (const [index, chunk] of chunks.entries()) {
    const start = index === 0 ? 0 : `\n${text}`.indexOf(`\n${chunk}`, end);
    assert.ok(start >= 0 && text.startsWith(chunk, start), `no\n${chunk}\nin\n${output}`);
    end = start + chunk.length;
  }
}

/** Masks the version of grpc-js, and values of metrics except zeros. */
function masked(text: string): string {
  return text.replace(/(otel_scope_version=")[^"]+/g, "$1N").replace(/\} [1-9].*$/gm, "} N");
}
