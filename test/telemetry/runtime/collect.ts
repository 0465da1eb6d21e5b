import assert from "node:assert/strict";
import { AggregationTemporality, MetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricData } from "@opentelemetry/sdk-metrics";

/**
 * A reader that collects on demand. It uses delta temporality: with cumulative temporality, the SDK
 * keeps exporting the last value of an observable instrument after its callback is removed or fails.
 */
export class TestReader extends MetricReader {
  constructor() {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA });
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Collects once, fails on errors, and returns the metrics by name. */
export async function collect(reader: TestReader): Promise<Map<string, MetricData>> {
  const { resourceMetrics, errors } = await reader.collect();
  assert.deepEqual(errors, []);
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  return new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
}

/**
 * Returns the sum of a metric's data points, or the number of values in a histogram; undefined if
 * the metric is missing.
 */
export function total(metrics: Map<string, MetricData>, name: string): number | undefined {
  const points = metrics.get(name)?.dataPoints;
  return points?.reduce(
    (sum, { value }) => sum + (typeof value === "number" ? value : value.count),
    0,
  );
}

/** Returns {@link total} of a metric, which must exist. */
export function requireTotal(metrics: Map<string, MetricData>, name: string): number {
  const value = total(metrics, name);
  assert.ok(value !== undefined, `${name} is missing from ${[...metrics.keys()].join(", ")}`);
  return value;
}

/** Keeps the CPU and the event loop busy. */
export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
