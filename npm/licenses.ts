import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The file with the licences of the packages that a build contains. */
export const LICENSES = "THIRD-PARTY-LICENSES";

const PACKAGE = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/;

/** The parts of rolldown's plugin API that are used here. */
interface Bundler {
  emitFile(file: { type: "asset"; fileName: string; source: string }): void;
}

/**
 * Returns a plugin of the bundler that adds the licences of all packages that end up in the build.
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
      const texts = await Promise.all([...folders].sort().map(licenseOf));
      this.emitFile({ type: "asset", fileName: path, source: texts.join("\n") });
    },
  };
}

/** @throws {Error} If the package has no licence file. */
async function licenseOf(folder: string): Promise<string> {
  const { name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  for await (const file of glob("{LICENSE,LICENCE,license}{,.*}", { cwd: folder })) {
    const text = (await readFile(join(folder, file), "utf8")).trim();
    return `# ${name} ${version}\n\n${text}\n`;
  }
  throw new Error(`${name} ${version} has no licence file`);
}
