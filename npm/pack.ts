/**
 * Builds the package and packs it: `npm run pack`. The last line it prints is the tarball's path.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { build, DIST } from "./build.ts";
import { npm } from "./tools.ts";

/**
 * Packs a folder that is ready to be published.
 *
 * @param target The folder that receives the tarball.
 * @returns The tarball's path.
 */
export async function pack(folder: string, target: string): Promise<string> {
  const packed = await npm(folder, "pack", "--json", "--pack-destination", target);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  return join(target, filename);
}

if (import.meta.main) {
  await build();
  console.log(await pack(DIST, dirname(DIST)));
}
