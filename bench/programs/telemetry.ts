import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { DataPointType, MeterProvider } from "@opentelemetry/sdk-metrics";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";

/** A span processor that counts, and drops what it counted. */
export class SpanCounter implements SpanProcessor {
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

/** The plugin in one of its forms, and a check that it records. */
export interface Variant {
  readonly plugin: GrpcOpenTelemetry;
  /** How many calls are in the metrics, or how many spans ended. */
  recorded(): Promise<number>;
}

/**
 * @param variant `bare`: no plugin; `plugin`: the metrics that are on by default; `traced`: a span
 * for each call as well
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
    case "traced": {
      const counter = new SpanCounter();
      const tracerProvider = tracing(counter);
      const plugin = new GrpcOpenTelemetry({ meterProvider, tracerProvider });
      return { plugin, recorded: async () => Math.min(counter.spans, await recorded()) };
    }
    default:
      throw new Error(`there is no variant ${variant}`);
  }
}

/** A tracer provider that samples everything, with a context manager, as a service would have. */
export function tracing(counter: SpanCounter): TracerProvider {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return new TracerProvider({ spanProcessors: [counter] });
}
