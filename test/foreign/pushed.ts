/** What programs push: each exports its metrics when it ends, over OTLP with JSON. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { RecordingReceiver } from "../scripts/recording-receiver.ts";
import type { ExportRequest } from "../scripts/recording-receiver.ts";
import { Script } from "../support/script.ts";
import type { Environment } from "../support/script.ts";
import { seriesOf, valuesOf } from "../support/series.ts";
import type { Metric } from "../support/series.ts";
import { exportedMetrics } from "./otlp-metrics.ts";
import { clientTraffic, serverTraffic } from "./traffic.ts";

/** A running program, and what it has pushed. */
export interface PushingProgram {
  readonly script: Script;
  readonly requests: readonly ExportRequest[];
}

/** Starts a program that pushes to a receiver of its own. */
export async function startProgram(
  t: TestContext,
  cwd: string,
  command: readonly string[],
  environment: Environment = {},
): Promise<PushingProgram> {
  const receiver = await RecordingReceiver.start(t, "http/json");
  const script = new Script(t, command, {
    cwd,
    environment: {
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
      NO_COLOR: "1",
      ...environment,
    },
  });
  return { script, requests: receiver.requests };
}

/**
 * Waits until a program ends by itself, with success and without a warning.
 *
 * @returns The plugin's metrics.
 */
export async function finished({ script, requests }: PushingProgram): Promise<Metric[]> {
  assert.equal(await script.exit(), 0, script.stderr);
  // A start without code says where the metrics are.
  assert.equal(script.stderr.replace(/^telemetry: metrics at .*\n/, ""), "");
  return exportedMetrics(requests);
}

/** Runs a program to its end and returns the plugin's metrics. */
export async function recordedBy(
  t: TestContext,
  cwd: string,
  command: readonly string[],
  environment?: Environment,
): Promise<Metric[]> {
  return await finished(await startProgram(t, cwd, command, environment));
}

/** Asserts that all calls are recorded on both sides, or on one. */
export function assertTraffic(
  metrics: readonly Metric[],
  sides: readonly ("client" | "server")[] = ["client", "server"],
): void {
  assert.deepEqual(seriesOf(metrics), {
    ...(sides.includes("client") ? clientTraffic() : {}),
    ...(sides.includes("server") ? serverTraffic() : {}),
  });
  for (const target of sides.includes("client") ? targetsOf(metrics) : []) {
    assert.match(`${target}`, /^dns:\/\/\/127\.0\.0\.1:\d+$/);
  }
}

function targetsOf(metrics: readonly Metric[]): unknown[] {
  const client = metrics.filter(({ descriptor }) => descriptor.name.startsWith("grpc.client."));
  return valuesOf(client, "grpc.target");
}
