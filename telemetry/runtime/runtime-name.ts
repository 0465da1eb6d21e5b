import process from "node:process";

/** A JavaScript runtime and its version, without a leading v: "24.21.0". */
export interface Runtime {
  name: "node" | "bun" | "deno";
  version: string;
}

/**
 * Returns the runtime of this program. Bun and Deno also set `process.versions.node`, to the Node
 * version whose API they follow, so their own entries come first.
 */
export function currentRuntime(): Runtime {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  if (bun !== undefined) return { name: "bun", version: bun };
  if (deno !== undefined) return { name: "deno", version: deno };
  return { name: "node", version: node ?? "unknown" };
}

/**
 * Returns the resource attributes of the runtime, `process.runtime.*` in the OpenTelemetry semantic
 * conventions (https://opentelemetry.io/docs/specs/semconv/resource/process/#javascript-runtimes).
 * In Prometheus they are labels of `target_info`, so that no gauge like Go's `go_info` is needed.
 */
export function runtimeResourceAttributes(): Record<string, string> {
  const { name, version } = currentRuntime();
  return {
    "process.runtime.name": name === "node" ? "nodejs" : name,
    "process.runtime.version": version,
  };
}

/** The first Deno release with the crash of denoland/deno#36788. Later releases have it too. */
const CRASHING_DENO = [2, 9, 4];

/**
 * Returns a one-line warning to print at start-up on a runtime that is known to crash under gRPC.
 * Deno 2.9.4 and later corrupt their heap when an HTTP/2 peer sends GOAWAY, which an ordinary
 * `client.close()` does, and no handler can catch that.
 *
 * @param runtime the runtime to check, the current one by default
 * @returns undefined on any other runtime
 */
export function runtimeWarning(runtime: Runtime = currentRuntime()): string | undefined {
  if (runtime.name !== "deno" || isBefore(runtime.version, CRASHING_DENO)) return undefined;
  return `Deno ${runtime.version} can crash when a gRPC connection closes ` +
    "(https://github.com/denoland/deno/issues/36788): use Deno 2.9.3.";
}

function isBefore(version: string, limit: readonly number[]): boolean {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  for (const [index, bound] of limit.entries()) {
    const part = parts[index] ?? 0;
    if (part !== bound) return part < bound;
  }
  return false;
}
