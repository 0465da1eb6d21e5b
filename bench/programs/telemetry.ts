import { context, propagation } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { DataPointType, MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Sampler, SpanProcessor } from "@opentelemetry/sdk-trace";
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
  /** Returns how many calls are in the metrics, or how many spans have ended. */
  recorded(): Promise<number>;
}

/**
 * Creates a variant of the plugin.
 *
 * @param variant `bare` records nothing, `plugin` records the default metrics, `global` does
 * so by a registration for the whole process, `everything` records all metrics with all optional
 * labels, `spans` records the spans of each call and no metrics, `traced` records spans and the
 * default metrics, and `unsampled` does so with a sampler that samples no call.
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
    case "spans": {
      const counter = new SpanCounter();
      const plugin = new GrpcOpenTelemetry(createTracing(counter));
      return { plugin, recorded: () => Promise.resolve(counter.spans) };
    }
    case "traced": {
      const counter = new SpanCounter();
      const plugin = new GrpcOpenTelemetry({ meterProvider, ...createTracing(counter) });
      return { plugin, recorded: async () => Math.min(counter.spans, await recorded()) };
    }
    case "unsampled": {
      const counter = new SpanCounter();
      const tracing = createTracing(counter, SAMPLES_NOTHING);
      const plugin = new GrpcOpenTelemetry({ meterProvider, ...tracing });
      return { plugin, recorded: async () => counter.spans === 0 ? await recorded() : 0 };
    }
    default:
      throw new Error(
        `"${variant}": must be bare, plugin, global, everything, spans, traced or unsampled`,
      );
  }
}

/** Samples the calls that a client has sampled, and no others. */
export const SAMPLES_NOTHING: Sampler = new ParentBasedSampler({
  root: new TraceIdRatioBasedSampler(0),
});

/** What a program needs to make spans, and to join those of client and server. */
export interface Tracing {
  readonly tracerProvider: TracerProvider;
  readonly textMapPropagator: W3CTraceContextPropagator;
}

/**
 * Returns a tracer provider and a propagator, and installs the propagator and a context manager for
 * the process, as applications do.
 *
 * @param sampler Samples everything if undefined.
 */
export function createTracing(counter: SpanCounter, sampler?: Sampler): Tracing {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const textMapPropagator = new W3CTraceContextPropagator();
  propagation.setGlobalPropagator(textMapPropagator);
  const tracerProvider = new TracerProvider({
    spanProcessors: [counter],
    ...(sampler && { sampler }),
  });
  return { tracerProvider, textMapPropagator };
}
