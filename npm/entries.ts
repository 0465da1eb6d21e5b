/** The entries of the published package, with the file that each is built from. */
export const ENTRIES: Readonly<Record<string, string>> = {
  ".": "plugin/mod.ts",
  "./prometheus": "prometheus/mod.ts",
  "./page": "telemetry/page/mod.ts",
  "./telemetry": "telemetry.ts",
  "./register": "telemetry/register.ts",
};

/**
 * The entries that contain all packages except the peers. Finding and reading each package's files
 * is a large part of what `register` adds to the start of a program.
 */
export const SELF_CONTAINED: readonly string[] = ["./register"];

/** The entries whose CommonJS form is built from another file, because it cannot be awaited. */
export const COMMON_JS: Readonly<Record<string, string>> = {
  "./register": "telemetry/register-cjs.ts",
};

/** Returns the name of the files that an entry is built to, without their endings. */
export function builtName(entry: string): string {
  return entry === "." ? "index" : entry.replace("./", "");
}
