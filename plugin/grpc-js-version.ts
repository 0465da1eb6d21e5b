import { ownManifest } from "./grpc-copies.ts";

/**
 * Returns the version of the copy of grpc-js that the plugin uses. Returns undefined if that cannot be
 * found out, as in a bundle without grpc-js's `package.json`.
 *
 * An import of the JSON file would do the same, but not all bundlers and TypeScript settings accept
 * import attributes.
 */
export function grpcJsVersion(): string | undefined {
  return versionIn(required) ?? versionIn(ownManifest);
}

function versionIn(manifest: () => unknown): string | undefined {
  try {
    return (manifest() as { version?: string }).version;
  } catch {
    return undefined;
  }
}

/**
 * Works in CommonJS and on Bun; in ES modules, {@link ownManifest} does. Bundlers put the file into
 * the bundle, because they see its name.
 */
function required(): unknown {
  return require("@grpc/grpc-js/package.json");
}
