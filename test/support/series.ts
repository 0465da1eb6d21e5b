import type { Attributes } from "@opentelemetry/api";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricData, ViewOptions } from "@opentelemetry/sdk-metrics";

/** A metric with its series: the part of an SDK's data that tests compare. */
export interface Metric {
  readonly descriptor: {
    readonly name: string;
    readonly unit: string;
    readonly description: string;
  };
  readonly dataPoints: readonly {
    readonly attributes: Attributes;
    readonly value: unknown;
  }[];
}

/** The value of a {@link Metric} that is a histogram. */
export interface HistogramValue {
  readonly count: number;
  readonly sum?: number;
  readonly buckets: { readonly boundaries: readonly number[] };
}

/** A reader that collects only on demand. */
class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** A real `MeterProvider` and the metrics recorded with it. */
export class Recording {
  readonly #reader = new ManualReader();
  readonly meterProvider: MeterProvider;

  constructor(views: ViewOptions[] = []) {
    this.meterProvider = new MeterProvider({ readers: [this.#reader], views });
  }

  /** Collects all metrics. */
  async metrics(): Promise<MetricData[]> {
    const { resourceMetrics } = await this.#reader.collect();
    return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  }

  /** Returns the distinct values of an attribute, see {@link valuesOf}. */
  async valuesOf(attribute: string): Promise<unknown[]> {
    return valuesOf(await this.metrics(), attribute);
  }

  /** Returns all series by name and labels, see {@link seriesOf}. */
  async series(): Promise<Record<string, string>> {
    return seriesOf(await this.metrics());
  }
}

/** Returns the distinct values of an attribute over all series; `undefined` for series without it. */
export function valuesOf(metrics: readonly Metric[], attribute: string): unknown[] {
  const values = new Set<unknown>();
  for (const { dataPoints } of metrics) {
    for (const { attributes } of dataPoints) values.add(attributes[attribute]);
  }
  return [...values];
}

/**
 * Returns the value of each series by name and labels, `grpc.client.attempt.started{method=…}`. Names
 * of labels lack their prefix `grpc.`, and the target is left out. The value of a histogram of sizes is
 * its count and sum, `2 (32)`; that of a histogram of durations is its count.
 */
export function seriesOf(metrics: readonly Metric[]): Record<string, string> {
  const series: Record<string, string> = {};
  for (const { descriptor, dataPoints } of metrics) {
    for (const { attributes, value } of dataPoints) {
      series[`${descriptor.name}{${labels(attributes)}}`] = typeof value === "number"
        ? `${value}`
        : describe(descriptor.unit, value as HistogramValue);
    }
  }
  return series;
}

function describe(unit: string, { count, sum }: HistogramValue): string {
  return unit === "By" ? `${count} (${sum})` : `${count}`;
}

function labels(attributes: Attributes): string {
  return Object.entries(attributes)
    .filter(([key]) => key !== "grpc.target")
    .map(([key, value]) => `${key.replace("grpc.", "")}=${value}`).sort().join(",");
}
