import { Channel } from "@grpc/grpc-js";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * Returns the version of the copy of grpc-js that the plugin uses. Returns undefined if that cannot be
 * found out, as in a bundle without grpc-js's `package.json`.
 *
 * An import of the JSON file would do the same, but not all bundlers and TypeScript settings accept
 * import attributes.
 */
export function grpcJsVersion(): string | undefined {
  return versionIn(required) ?? versionIn(besideLoadedCopy);
}

function versionIn(manifest: () => unknown): string | undefined {
  try {
    return (manifest() as { version?: string }).version;
  } catch {
    return undefined;
  }
}

/** Works in CommonJS and on Bun. Bundlers put the file into the bundle, because they see its name. */
function required(): unknown {
  return require("@grpc/grpc-js/package.json");
}

/** Works in ES modules. All copies of grpc-js are CommonJS, so the loaded one is in `require.cache`. */
function besideLoadedCopy(): unknown {
  // Any file will do; it need not exist. This URL is absolute on Windows too.
  const load = createRequire("file:///C:/");
  const loaded = Object.values(load.cache).find((module) =>
    module !== undefined && /\bbuild[\\/]src[\\/]index\.js$/.test(module.filename) &&
    module.exports.Channel === Channel
  );
  return loaded && load(join(dirname(loaded.filename), "../../package.json"));
}
