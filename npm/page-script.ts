/**
 * Makes the script of the live page: `npm run page`.
 *
 * The script is a string in a module, because a bundle or a single binary has no files to read, and
 * `Function.prototype.toString()` returns what a transpiler, a bundler or a coverage tool made of a
 * function. The sources stay TypeScript modules that the process itself and the tests import.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PAGE = fileURLToPath(new URL("../telemetry/page/", import.meta.url));

/** The file that holds the script. */
export const SCRIPT_FILE: string = join(PAGE, "script.ts");

/**
 * Returns the content of {@linkcode SCRIPT_FILE}.
 *
 * @throws {Error} If `telemetry/page/browser.ts` cannot be bundled, or would end its own element.
 */
export async function scriptModule(): Promise<string> {
  const options = ["--target=browser", "--format=iife", "--minify-whitespace", "--minify-syntax"];
  const { stdout } = await promisify(execFile)("bun", [
    "build",
    ...options,
    join(PAGE, "browser.ts"),
  ]);
  const script = stdout.trim();
  if (/<\/script|<!--/i.test(script)) throw new Error("the script has text that ends its element");
  return `// deno-fmt-ignore-file
/** The script of the page. Made of \`browser.ts\` by \`npm run page\`: do not change it by hand. */
export const SCRIPT: string = ${JSON.stringify(script)};
`;
}

if (import.meta.main) await writeFile(SCRIPT_FILE, await scriptModule());
