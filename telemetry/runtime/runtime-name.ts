import process from "node:process";

/** A JavaScript runtime this project runs on, and its version ("24.21.0", without a leading v). */
export interface Runtime {
  name: "node" | "bun" | "deno";
  version: string;
}

/**
 * The runtime this program runs on. Bun and Deno also fill in `process.versions.node`, with the
 * Node version whose API they follow, so their own entries are looked at first.
 */
export function currentRuntime(): Runtime {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  if (bun !== undefined) return { name: "bun", version: bun };
  if (deno !== undefined) return { name: "deno", version: deno };
  return { name: "node", version: node ?? "unknown" };
}

/**
 * Resource attributes that name the runtime, after the OpenTelemetry semantic conventions for
 * `process.runtime.*`
 * (https://opentelemetry.io/docs/specs/semconv/resource/process/#javascript-runtimes). On the
 * Prometheus side they become labels of `target_info`, which makes an information gauge like Go's
 * `go_info` superfluous.
 */
export function runtimeResourceAttributes(): Record<string, string> {
  const { name, version } = currentRuntime();
  return {
    "process.runtime.name": name === "node" ? "nodejs" : name,
    "process.runtime.version": version,
  };
}

/** The first Deno release with the crash of denoland/deno#36788; open in every release since. */
const CRASHING_DENO = [2, 9, 4];

/**
 * A one-line warning to print at start-up on a runtime known to crash under gRPC, `undefined` on
 * any other: Deno 2.9.4 and later corrupt their heap when an HTTP/2 peer sends GOAWAY, which an
 * ordinary `client.close()` does, and no handler can catch it.
 *
 * @param runtime the runtime to judge, the current one by default
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
