/**
 * Builds the package that is published: `npm run build`.
 *
 * @module
 */
import { copyFile, glob, readFile, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publishedManifest } from "./manifest.ts";
import type { RootManifest } from "./manifest.ts";
import { installTools, runTool } from "./tools.ts";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/** The folder that is ready to be published. */
export const DIST = join(PROJECT, "dist");

/** Matches what built code and types import from elsewhere, but not the examples in comments. */
const IMPORT = /^(?! *[*/]).*\b(?:from |import |import\(|require\()"([\w@][\w@./:-]*)"/gm;

/**
 * Builds the package: JavaScript and types as ES modules and as CommonJS, source maps, the manifest,
 * README and licences.
 *
 * @param folder The folder to build into. Its content is removed first.
 */
export async function build(folder: string = DIST): Promise<void> {
  await installTools();
  await rm(folder, { recursive: true, force: true });
  const config = join(PROJECT, "npm", "tsdown.config.ts");
  await runTool(PROJECT, "tsdown/dist/run.mjs", "--config", config, "--out-dir", folder);
  const root: RootManifest = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  const manifest = publishedManifest(root, await importedPackages(folder));
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const file of ["README.md", "LICENSE"]) {
    await copyFile(join(PROJECT, file), join(folder, file));
  }
}

/** Returns the names of the packages that the built files of a folder import. */
export async function importedPackages(folder: string): Promise<string[]> {
  const names = new Set<string>();
  for await (const file of glob("*.{js,cjs,d.ts,d.cts}", { cwd: folder })) {
    const code = await readFile(join(folder, file), "utf8");
    for (const [, specifier = ""] of code.matchAll(IMPORT)) {
      if (!isBuiltin(specifier)) names.add(/^(@[^/]+\/)?[^/]+/.exec(specifier)![0]);
    }
  }
  return [...names];
}

if (import.meta.main) await build();
