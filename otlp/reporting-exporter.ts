import type { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import type {
  AggregationOption,
  AggregationTemporality,
  InstrumentType,
  PushMetricExporter,
  ResourceMetrics,
} from "@opentelemetry/sdk-metrics";

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
  readonly #report: (line: string) => void;
  #outage: Outage | undefined;
  #pendingPoints = 0;

  /**
   * @param exporter Does the exporting.
   * @param destination Where it exports to, for the lines.
   * @param report Takes the lines.
   */
  constructor(
    exporter: OTLPMetricExporterBase,
    destination: string,
    report: (line: string) => void,
  ) {
    this.#exporter = exporter;
    this.#destination = destination;
    this.#report = report;
  }

  /** Always calls back with success: a failure is told here, and not once more by the reader. */
  export(metrics: ResourceMetrics, done: Parameters<PushMetricExporter["export"]>[1]): void {
    const points = countPoints(metrics);
    this.#pendingPoints = points;
    this.#exporter.export(metrics, ({ code, error }) => {
      this.#pendingPoints = 0;
      if (code === FAILED) this.#failed(points, reasonOf(error));
      else this.#succeeded();
      done({ code: SUCCESS });
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

/** One line without a stack: what went wrong, in the words of whoever noticed. */
function reasonOf(error: (Error & { code?: unknown; errors?: unknown }) | undefined): string {
  if (error === undefined) return "unknown error";
  // A refused connection to a name with several addresses has one error each, and no text itself.
  if (error.message === "" && Array.isArray(error.errors)) return reasonOf(error.errors[0]);
  if (error.message === "Export failed with retryable status") {
    return "it answered that it is busy or overloaded (HTTP 429, 502, 503 or 504)";
  }
  const text = (error.message || String(error.code ?? error.name)).split("\n", 1).join();
  const httpStatus = error.name === "OTLPExporterError" && typeof error.code === "number";
  return httpStatus ? `it answered with HTTP ${error.code} ${text}` : text;
}
