import { fileURLToPath } from "node:url";
import { builtName, COMMON_JS, ENTRIES, SELF_CONTAINED } from "./entries.ts";
import { LICENSES, licenses } from "./licenses.ts";
import { BUNDLED, PEERS } from "./manifest.ts";

const common = {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  platform: "node",
  target: "node22.15",
  dts: true,
  // TypeScript's resolution "node10" finds `prometheus.d.ts` for the entry `./prometheus`.
  fixedExtension: false,
  // A module of the package is never the main one, not even in the bundle of an application.
  define: { "import.meta.main": "false" },
  // A bundler that sees `require("@grpc/grpc-js/package.json")` puts the file into its bundle.
  // Jest runs CommonJS in a context without `import()`.
  outputOptions: { polyfillRequire: false, dynamicImportInCjs: false },
  logLevel: "error",
  // The first build would remove what the second one has written, or the other way round.
  clean: false,
};

/** Depends on packages, so that an application has one copy of the SDK. */
function library(entry: Record<string, string>) {
  return {
    ...common,
    entry,
    sourcemap: true,
    plugins: [licenses(LICENSES)],
    deps: { alwaysBundle: BUNDLED.map(modulesOf), onlyBundle: [...BUNDLED] },
  };
}

/** Contains all packages except the peers, in a folder of its own. */
function selfContained(entry: Record<string, string>, ending: "js" | "cjs") {
  return {
    ...common,
    entry,
    plugins: [licenses(`register/${LICENSES}`)],
    deps: {
      alwaysBundle: (id: string) => !Object.keys(PEERS).some((name) => modulesOf(name).test(id)),
      onlyBundle: false,
    },
    outputOptions: { ...common.outputOptions, chunkFileNames: `register/[name]-[hash].${ending}` },
  };
}

/** Returns a pattern of what can be imported from a package. */
function modulesOf(name: string): RegExp {
  return new RegExp(`^${name}(/|$)`);
}

/** Returns the entries that are self-contained or not, with the files that they are built from. */
function entries(sources: Readonly<Record<string, string>>, areSelfContained: boolean) {
  return Object.fromEntries(
    Object.entries(sources)
      .filter(([entry]) => SELF_CONTAINED.includes(entry) === areSelfContained)
      .map(([entry, source]) => [builtName(entry), source]),
  );
}

const commonJs = { ...ENTRIES, ...COMMON_JS };

export default [
  { ...library(entries(ENTRIES, false)), format: "esm" },
  { ...library(entries(commonJs, false)), format: "cjs" },
  { ...selfContained(entries(ENTRIES, true), "js"), format: "esm" },
  { ...selfContained(entries(commonJs, true), "cjs"), format: "cjs" },
];
