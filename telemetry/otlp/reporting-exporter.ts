import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type {
  AggregationOption,
  AggregationTemporality,
  InstrumentType,
  PushMetricExporter,
  ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { Delivery } from "./delivery.ts";

/** An exporter of metrics that tells in plain lines when it fails and when it works again. */
export class ReportingExporter implements PushMetricExporter {
  #exporter: OTLPMetricExporterBase;
  readonly #delivery: Delivery;

  /**
   * @param exporter Does the exporting.
   * @param destination Where it exports to, without secrets, for the lines.
   * @param timeoutMs How long an export may take, in milliseconds.
   * @param report Takes the lines.
   */
  constructor(
    exporter: OTLPMetricExporterBase,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
  ) {
    this.#exporter = exporter;
    const signal = {
      name: "metrics",
      consequence: "recording goes on, and the next delivery makes up for it",
      toll: (points: number) => `${points} points were late`,
    } as const;
    this.#delivery = new Delivery(signal, destination, timeoutMs, report);
  }

  export(metrics: ResourceMetrics, done: Parameters<PushMetricExporter["export"]>[1]): void {
    this.#delivery.export(
      countPoints(metrics),
      (callback) => this.#exporter.export(metrics, callback),
      done,
    );
  }

  /** Has another one do the exporting; the one before finishes what it has begun. */
  replace(exporter: OTLPMetricExporterBase): Promise<void> {
    const before = this.#exporter;
    this.#exporter = exporter;
    return before.shutdown();
  }

  /** What has not been delivered, as a line for the log; `undefined` if everything has. */
  undelivered(): string | undefined {
    return this.#delivery.undelivered();
  }

  selectAggregation(instrumentType: InstrumentType): AggregationOption {
    return this.#exporter.selectAggregation(instrumentType);
  }

  selectAggregationTemporality(instrumentType: InstrumentType): AggregationTemporality {
    return this.#exporter.selectAggregationTemporality(instrumentType);
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

function countPoints({ scopeMetrics }: ResourceMetrics): number {
  let points = 0;
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) points += dataPoints.length;
  }
  return points;
}
