import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { DataPointType, MeterProvider } from "@opentelemetry/sdk-metrics";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { OPTIONAL_LABELS } from "../../plugin/metrics/labels.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";

/** A span processor that counts ended spans and drops them. */
export class SpanCounter implements SpanProcessor {
  /** How many spans have ended. */
  spans = 0;

  onStart(): void {}

  onEnd(): void {
    this.spans++;
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** A configuration of the plugin, with a check that it records. */
export interface Variant {
  readonly plugin: GrpcOpenTelemetry;
  /** Returns how many calls are in the metrics and, for `traced`, also have ended spans. */
  recorded(): Promise<number>;
}

/**
 * Creates a variant of the plugin.
 *
 * @param variant `bare` records nothing, `plugin` records the default metrics, `global` does
 * so by a registration for the whole process, `traced` also records a span for each call, and
 * `everything` records all metrics with all optional labels.
 * @throws {Error} for other variants.
 */
export function createVariant(variant: string | undefined): Variant {
  const reader = new PrometheusReader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  async function recorded(): Promise<number> {
    const { resourceMetrics } = await reader.collect();
    let calls = 0;
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const metric of metrics) {
        if (metric.dataPointType !== DataPointType.SUM) continue;
        if (!metric.descriptor.name.endsWith(".started")) continue;
        for (const { value } of metric.dataPoints) calls += value;
      }
    }
    return calls;
  }
  switch (variant) {
    case "bare":
      return { plugin: new GrpcOpenTelemetry({}), recorded };
    case "plugin":
      return { plugin: new GrpcOpenTelemetry({ meterProvider }), recorded };
    case "global":
      new GrpcOpenTelemetry({ meterProvider }).registerGlobal();
      return { plugin: new GrpcOpenTelemetry({}), recorded };
    case "everything": {
      const enableMetrics = METRIC_NAMES;
      const optionalLabels = OPTIONAL_LABELS;
      const plugin = new GrpcOpenTelemetry({ meterProvider, enableMetrics, optionalLabels });
      return { plugin, recorded };
    }
    case "traced": {
      const counter = new SpanCounter();
      const tracerProvider = createTracerProvider(counter);
      const plugin = new GrpcOpenTelemetry({ meterProvider, tracerProvider });
      return { plugin, recorded: async () => Math.min(counter.spans, await recorded()) };
    }
    default:
      throw new Error(`"${variant}": must be bare, plugin, global, traced or everything`);
  }
}

/** Returns a tracer provider that samples everything, and installs a global context manager. */
export function createTracerProvider(counter: SpanCounter): TracerProvider {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return new TracerProvider({ spanProcessors: [counter] });
}
