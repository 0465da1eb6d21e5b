import { fileURLToPath } from "node:url";
import { builtName, COMMON_JS, ENTRIES } from "./entries.ts";
import { BUNDLED } from "./manifest.ts";

function entry(entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entries).map(([entry, source]) => [builtName(entry), source]),
  );
}

const common = {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  platform: "node",
  target: "node22.15",
  dts: true,
  sourcemap: true,
  // TypeScript's resolution "node10" finds `prometheus.d.ts` for the entry `./prometheus`.
  fixedExtension: false,
  // A module of the package is never the main one, not even in the bundle of an application.
  define: { "import.meta.main": "false" },
  // A bundler that sees `require("@grpc/grpc-js/package.json")` puts the file into its bundle.
  // Jest runs CommonJS in a context without `import()`.
  outputOptions: { polyfillRequire: false, dynamicImportInCjs: false },
  deps: {
    alwaysBundle: BUNDLED.map((name) => new RegExp(`^${name}(/|$)`)),
    onlyBundle: [...BUNDLED],
  },
  logLevel: "error",
  // The first build would remove what the second one has written, or the other way round.
  clean: false,
};

export default [
  { ...common, format: "esm", entry: entry(ENTRIES) },
  { ...common, format: "cjs", entry: entry({ ...ENTRIES, ...COMMON_JS }) },
];
