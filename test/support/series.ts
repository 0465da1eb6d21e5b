import type { Attributes } from "@opentelemetry/api";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricData, ViewOptions } from "@opentelemetry/sdk-metrics";

/** One metric with its series: of an SDK's data what tests compare. */
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

/** A histogram as a value of a {@link Metric}. */
export interface HistogramValue {
  readonly count: number;
  readonly sum?: number;
  readonly buckets: { readonly boundaries: readonly number[] };
}

/** A reader that only collects when it is asked to. */
class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** A real `MeterProvider`, and what was recorded through it. */
export class Recording {
  readonly #reader = new ManualReader();
  readonly meterProvider: MeterProvider;

  constructor(views: ViewOptions[] = []) {
    this.meterProvider = new MeterProvider({ readers: [this.#reader], views });
  }

  async metrics(): Promise<MetricData[]> {
    const { resourceMetrics } = await this.#reader.collect();
    return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  }

  /** The values that an attribute has over all series, `undefined` for those without it. */
  async valuesOf(attribute: string): Promise<unknown[]> {
    return valuesOf(await this.metrics(), attribute);
  }

  /** Each series by name and labels, see {@link seriesOf}. */
  async series(): Promise<Record<string, string>> {
    return seriesOf(await this.metrics());
  }
}

/** The values that an attribute has over all series, `undefined` for those without it. */
export function valuesOf(metrics: readonly Metric[], attribute: string): unknown[] {
  const values = new Set<unknown>();
  for (const { dataPoints } of metrics) {
    for (const { attributes } of dataPoints) values.add(attributes[attribute]);
  }
  return [...values];
}

/**
 * Each series by name and labels, `grpc.client.attempt.started{grpc.method=…}`: the value of a
 * counter; of a histogram of sizes its count and sum, `2 (32)`; of one of durations its count.
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
