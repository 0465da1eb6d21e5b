import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type {
  AggregationOption,
  AggregationTemporality,
  InstrumentType,
  PushMetricExporter,
  ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { failureReason } from "./failure-reason.ts";

/** `ExportResultCode.SUCCESS` and `FAILED` of `@opentelemetry/core`, which is no dependency. */
const SUCCESS = 0;
const FAILED = 1;

/** Exports that have failed since the last one that succeeded. */
interface Outage {
  readonly sinceMs: number;
  latePoints: number;
  reason: string;
}

/**
 * An exporter that tells in one line when exports begin to fail and in one when they succeed again.
 * The stock one is silent, or with a logger prints a stack at every tick.
 */
export class ReportingExporter implements PushMetricExporter {
  readonly #exporter: OTLPMetricExporterBase;
  readonly #destination: string;
  readonly #timeoutMs: number;
  readonly #report: (line: string) => void;
  #outage: Outage | undefined;
  #pendingPoints = 0;

  /**
   * @param exporter Does the exporting.
   * @param destination The URL that it exports to, for the lines.
   * @param timeoutMs How long an export may take, in milliseconds. The stock exporters hold to theirs
   * only roughly: over HTTP theirs is for silence, and starts again at every sign of life.
   * @param report Takes the lines.
   */
  constructor(
    exporter: OTLPMetricExporterBase,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
  ) {
    this.#exporter = exporter;
    this.#destination = destination;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
  }

  /** Always calls back with success: a failure is told here, and not once more by the reader. */
  export(metrics: ResourceMetrics, done: Parameters<PushMetricExporter["export"]>[1]): void {
    const points = countPoints(metrics);
    this.#pendingPoints = points;
    const end = (failure?: string): void => {
      clearTimeout(timer);
      this.#pendingPoints = 0;
      if (failure === undefined) this.#succeeded();
      else this.#failed(points, failure);
      done({ code: SUCCESS });
    };
    // What comes later, comes too late to matter: the next export says the same and more.
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      end(`no answer within ${this.#timeoutMs / 1000} s`);
    }, this.#timeoutMs);
    this.#exporter.export(metrics, ({ code, error }) => {
      if (!isOver) end(code === FAILED ? failureReason(error, this.#isSecure) : undefined);
    });
  }

  /**
   * What has not been delivered, as a line for the log; `undefined` if everything has. To be asked
   * when the process stops.
   */
  undelivered(): string | undefined {
    if (this.#outage === undefined && this.#pendingPoints === 0) return undefined;
    const reason = this.#outage?.reason ?? "no answer in time";
    const since = this.#outage ? `, failing for ${secondsSince(this.#outage.sinceMs)} s` : "";
    return `telemetry: the last metrics could not be delivered to ${this.#destination}` +
      `${since}: ${reason}`;
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

  get #isSecure(): boolean {
    return this.#destination.startsWith("https:");
  }

  #failed(points: number, reason: string): void {
    if (this.#outage === undefined) {
      this.#outage = { sinceMs: performance.now(), latePoints: 0, reason };
      this.#report(
        `telemetry: metrics cannot be delivered to ${this.#destination}: ${reason}; ` +
          "recording goes on, and the next delivery makes up for it",
      );
    }
    this.#outage.latePoints += points;
    this.#outage.reason = reason;
  }

  #succeeded(): void {
    if (this.#outage === undefined) return;
    const { sinceMs, latePoints } = this.#outage;
    this.#outage = undefined;
    this.#report(
      `telemetry: metrics are delivered to ${this.#destination} again, after ` +
        `${secondsSince(sinceMs)} s; ${latePoints} points were late`,
    );
  }
}

function countPoints({ scopeMetrics }: ResourceMetrics): number {
  let points = 0;
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) points += dataPoints.length;
  }
  return points;
}

function secondsSince(startMs: number): string {
  return ((performance.now() - startMs) / 1000).toFixed(1);
}
