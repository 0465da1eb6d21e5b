import { fileURLToPath } from "node:url";
import { builtName, ENTRIES } from "./entries.ts";

export default {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  entry: Object.fromEntries(
    Object.entries(ENTRIES).map(([entry, source]) => [builtName(entry), source]),
  ),
  format: ["esm", "cjs"],
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
  logLevel: "error",
};
