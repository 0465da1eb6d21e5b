import cluster from "node:cluster";
import { basename } from "node:path";
import { isMainThread } from "node:worker_threads";
import { thrownText } from "../log/thrown-text.ts";
import { shared } from "../plugin/shared-state.ts";
import { startTelemetry } from "../telemetry.ts";
import { ensureContextManager } from "./context-manager.ts";
import { log } from "./log.ts";
import { beforeProcessEnds } from "./process-end.ts";
import { readSettings, StartupError } from "./settings/mod.ts";

const state = shared("zeroCode", () => ({ isStarted: false }));

/**
 * Starts the telemetry that the environment describes, for an unchanged program, and
 * records all its channels and servers. Does nothing if it was started before, or if everything is
 * switched off.
 *
 * Never rejects: a bad variable is reported, and the program runs without telemetry. An exporter that
 * cannot start is reported, and others go on.
 */
export async function startZeroCode(): Promise<void> {
  if (state.isStarted) return;
  state.isStarted = true;
  try {
    await start();
  } catch (error) {
    report(error);
  }
}

async function start(): Promise<void> {
  const { OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER, OTEL_TRACES_EXPORTER } = readSettings();
  const exporters = [...OTEL_METRICS_EXPORTER, ...OTEL_TRACES_EXPORTER]
    .filter((exporter) => exporter !== "none");
  if (OTEL_SDK_DISABLED || exporters.length === 0) return;

  ensureContextManager();
  let failures = 0;
  const telemetry = await startTelemetry({
    // OpenTelemetry resource semantic conventions
    defaultServiceName: `unknown_service:${basename(process.execPath, ".exe")}`,
    defaultPrometheusPort: 9464,
    anyPortIfInUse: hasSiblings(),
    onExporterFailure: (failure) => {
      failures++;
      report(failure);
    },
  });
  if (failures === exporters.length) return;
  try {
    telemetry.plugin.registerGlobal();
  } catch (error) {
    await telemetry.shutdown();
    throw error;
  }
  const hasMetrics = OTEL_METRICS_EXPORTER.some((exporter) => exporter !== "none");
  const places = [
    hasMetrics && `metrics at ${telemetry.endpoint}`,
    telemetry.tracesEndpoint && `traces at ${telemetry.tracesEndpoint}`,
  ];
  log(`telemetry: ${places.filter(Boolean).join(", ")}`);
  beforeProcessEnds(() => telemetry.shutdown());
}

/** Returns whether other parts of the same program may have the same environment. */
function hasSiblings(): boolean {
  return cluster.isWorker || !isMainThread || process.send !== undefined;
}

function report(failure: unknown): void {
  if (failure instanceof StartupError) log(failure.message);
  else log(`telemetry is off: ${thrownText(failure)}`);
}
