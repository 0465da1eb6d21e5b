import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The name of the file with the licences of the packages that a build contains. */
export const LICENSES = "THIRD-PARTY-LICENSES";

const PACKAGE = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/;

/** The parts of rolldown's plugin API that are used here. */
interface Bundler {
  emitFile(file: { type: "asset"; fileName: string; source: string }): void;
}

/**
 * Returns a plugin of the bundler that adds the licences of all packages that end up in the build.
 * Packages with the same text share it.
 *
 * @param path The path of the file in the build.
 */
export function licenses(path: string) {
  return {
    name: "licenses",
    async generateBundle(
      this: Bundler,
      _options: unknown,
      bundle: Readonly<Record<string, { readonly moduleIds?: readonly string[] }>>,
    ): Promise<void> {
      const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
      const folders = new Set(modules.flatMap((id) => PACKAGE.exec(id)?.[1] ?? []));
      // A build of types alone contains no packages, and must not replace the file.
      if (folders.size === 0) return;
      const texts = new Map<string, string[]>();
      for (const folder of [...folders].sort()) {
        const text = await licenseOf(folder);
        texts.set(text, [...texts.get(text) ?? [], `# ${await nameOf(folder)}\n`]);
      }
      const source = [...texts].map(([text, names]) => `${names.join("")}\n${text}`).join("\n");
      this.emitFile({ type: "asset", fileName: path, source });
    },
  };
}

/**
 * Returns what has to go along with a package: its licence, and its notice if it has one.
 *
 * @throws {Error} If it has no licence.
 */
async function licenseOf(folder: string): Promise<string> {
  const names = await readdir(folder);
  const files = names.filter((name) => /^(license|notice)(\.\w+)?$/i.test(name));
  if (!files.some((file) => /^license/i.test(file))) throw new Error(`No licence in ${folder}`);
  const texts = await Promise.all(
    files.sort().map(async (file) => (await readFile(join(folder, file), "utf8")).trim()),
  );
  return `${texts.join("\n\n")}\n`;
}

async function nameOf(folder: string): Promise<string> {
  const { name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  return `${name} ${version}`;
}
