/**
 * `npm run collector`: runs the OpenTelemetry Collector with `otel-collector.yaml` and builds it
 * first if necessary. Passes further arguments on, for example
 * `-- --config stack/collector/agent.yaml`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { ignoreOutputErrors } from "../../log/output.ts";
import { runInForeground } from "../foreground.ts";
import { collectorBinary } from "./binary.ts";

const CONFIG = fileURLToPath(new URL("../../otel-collector.yaml", import.meta.url));

ignoreOutputErrors();
const stop = new AbortController();
const abort = () => stop.abort();
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
for (const signal of signals) process.on(signal, abort);
try {
  const binary = await collectorBinary({ log: console.error, signal: stop.signal });
  for (const signal of signals) process.off(signal, abort);
  process.exitCode = await runInForeground([
    binary,
    "--config",
    CONFIG,
    ...process.argv.slice(2),
  ]);
} catch (error) {
  if (!stop.signal.aborted) console.error((error as Error).message);
  process.exitCode = 1;
}
