import assert from "node:assert/strict";
import { test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { METRICS } from "../../../plugin/metrics/definitions.ts";
import type { MetricDefinition } from "../../../plugin/metrics/definitions.ts";
import { createInstruments } from "../../../plugin/metrics/instruments.ts";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { PrometheusReader } from "../../../prometheus/mod.ts";
import { readSettings } from "../../../telemetry/settings/mod.ts";
import { viewsOf } from "../../../telemetry/views.ts";

const HISTOGRAMS = Object.values(METRICS).flatMap((group) => Object.values<MetricDefinition>(group))
  .filter(({ kind }) => kind === "histogram");

/** Records a value in every histogram of the plugin. Returns those that are exponential, and others. */
async function kinds(
  environment: Record<string, string>,
): Promise<Record<"exponential" | "explicit", string[]>> {
  const reader = new PrometheusReader();
  const views = viewsOf(readSettings(environment));
  const meter = new MeterProvider({ readers: [reader], views }).getMeter("grpc-js");
  for (const group of Object.values(createInstruments(meter, new Set(METRIC_NAMES)))) {
    for (const instrument of Object.values(Object(group))) {
      const { record } = instrument as { record?(value: number, attributes: object): void };
      record?.call(instrument, 1, { "grpc.method": "a.B/C", "grpc.status": "OK" });
    }
  }
  const { resourceMetrics } = await reader.collect();
  const result = { exponential: [] as string[], explicit: [] as string[] };
  for (const { descriptor, dataPoints } of resourceMetrics.scopeMetrics[0]!.metrics) {
    const { value } = dataPoints[0]!;
    if (typeof value === "number") continue;
    result["scale" in value ? "exponential" : "explicit"].push(descriptor.name);
  }
  return { exponential: result.exponential.sort(), explicit: result.explicit.sort() };
}

function names(unit: (unit: string) => boolean): string[] {
  return HISTOGRAMS.filter((histogram) => unit(histogram.unit)).map(({ name }) => name).sort();
}

const DURATIONS = names((unit) => unit === "s");
const OTHERS = names((unit) => unit !== "s");
const CALLS = ["client", "server"].map((side) => `grpc.${side}.call.duration`);
const RENAMED = ["client", "server"].map((side) => `rpc.${side}.call.duration`);

for (
  const exponential of [
    { GRPC_METRICS_NATIVE_HISTOGRAMS: "true" },
    {
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION:
        "base2_exponential_bucket_histogram",
    },
  ]
) {
  test(`${Object.keys(exponential).at(-1)}: every duration is exponential, and sizes and counts are not`, async () => {
    assert.deepEqual(await kinds(exponential), { exponential: DURATIONS, explicit: OTHERS });
  });

  test(`${Object.keys(exponential).at(-1)}: with OpenTelemetry's names too`, async () => {
    const dup = { ...exponential, OTEL_SEMCONV_STABILITY_OPT_IN: "rpc/dup" };
    const both = [...DURATIONS, ...RENAMED].sort();
    assert.deepEqual(await kinds(dup), { exponential: both, explicit: OTHERS });
    const only = { ...exponential, OTEL_SEMCONV_STABILITY_OPT_IN: "rpc" };
    const renamed = [...DURATIONS.filter((name) => !CALLS.includes(name)), ...RENAMED].sort();
    assert.deepEqual(await kinds(only), { exponential: renamed, explicit: OTHERS });
  });
}

test("a setting for another exporter has no effect", async () => {
  const all = names(() => true);
  assert.deepEqual(
    await kinds({ OTEL_METRICS_EXPORTER: "otlp", GRPC_METRICS_NATIVE_HISTOGRAMS: "true" }),
    { exponential: [], explicit: all },
  );
  assert.deepEqual(
    await kinds({
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION:
        "base2_exponential_bucket_histogram",
    }),
    { exponential: [], explicit: all },
  );
});
