import { ExportResultCode } from "@opentelemetry/core";
import type { ExportResult } from "@opentelemetry/core";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { onRejection } from "../../log/rejection.ts";
import { failureReason } from "./export-failure.ts";

/** A kind of telemetry data, and the words for it in log lines. */
export interface Signal<T> {
  readonly name: "metrics" | "spans";
  /** Counts the data in one export. */
  readonly count: (exported: T) => number;
  /** What happens to the data while exports fail. */
  readonly consequence: string;
  /** What happened to that much data, for the line when exports succeed again. */
  readonly toll: (count: number) => string;
}

export const METRICS: Signal<ResourceMetrics> = {
  name: "metrics",
  count: ({ scopeMetrics }) => {
    let points = 0;
    for (const { metrics } of scopeMetrics) {
      for (const { dataPoints } of metrics) points += dataPoints.length;
    }
    return points;
  },
  consequence: "recording goes on, and the next delivery makes up for it",
  toll: (points) => `${points} points were late`,
};

export const SPANS: Signal<ReadableSpan[]> = {
  name: "spans",
  count: (spans) => spans.length,
  consequence: "they are lost",
  toll: (spans) => `${spans} were lost`,
};

/** The part that exporters of metrics and of spans have in common. */
export interface Exporter<T> {
  export(exported: T, done: (result: ExportResult) => void): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

/** The exports that have failed since the last one that succeeded. */
interface Outage {
  readonly sinceMs: number;
  count: number;
  reason: string;
}

/**
 * An exporter that reports in one line when exports begin to fail, and in one when they succeed
 * again. The stock exporters are silent, or with a logger print a stack at every tick.
 *
 * It selects no temporality, so that readers keep the SDK's default, which is cumulative.
 */
export class ReportingExporter<T> implements Exporter<T> {
  readonly #signal: Signal<T>;
  #exporter: Exporter<T>;
  readonly #destination: string;
  readonly #timeoutMs: number;
  readonly #report: (line: string) => void;
  #outage: Outage | undefined;
  /** How much is being exported now. */
  #pending = 0;

  /**
   * @param exporter sends the data
   * @param destination URL that it exports to, without secrets; `https:` means TLS
   * @param timeoutMs longest time of one export, in milliseconds. The stock exporters keep theirs only
   * roughly: over HTTP it limits silence, and starts again whenever data arrives
   * @param report receives the log lines
   */
  constructor(
    signal: Signal<T>,
    exporter: Exporter<T>,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
  ) {
    this.#signal = signal;
    this.#exporter = exporter;
    this.#destination = destination;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
  }

  /**
   * Exports once. The export ends once, even if the exporter calls back twice, throws or rejects.
   *
   * @param done receives success in any case, because this class reports failures itself
   */
  export(exported: T, done: (result: ExportResult) => void): void {
    const count = this.#signal.count(exported);
    this.#pending += count;
    let isOver = false;
    const end = (failure?: string): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#pending -= count;
      if (failure === undefined) this.#succeeded();
      else this.#failed(count, failure);
      done({ code: ExportResultCode.SUCCESS });
    };
    const fail = (thrown: unknown) => end(failureReason(thrown, this.#isSecure));
    const timer = setTimeout(
      () => end(`no answer within ${this.#timeoutMs / 1000} s`),
      this.#timeoutMs,
    );
    try {
      const returned: unknown = this.#exporter.export(exported, ({ code, error }) => {
        if (code === ExportResultCode.FAILED) fail(error);
        else end();
      });
      onRejection(returned, fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Exports with another exporter from now on. The previous one finishes its exports, then stops. */
  replace(exporter: Exporter<T>): Promise<void> {
    const previous = this.#exporter;
    this.#exporter = exporter;
    return previous.shutdown();
  }

  /** Returns a log line about data that is not delivered; undefined if there is none. */
  undelivered(): string | undefined {
    if (this.#outage === undefined && this.#pending === 0) return undefined;
    const reason = this.#outage?.reason ?? "no answer in time";
    const since = this.#outage ? `, failing for ${secondsSince(this.#outage.sinceMs)} s` : "";
    return `telemetry: the last ${this.#signal.name} could not be delivered to ` +
      `${this.#destination}${since}: ${reason}`;
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  get #isSecure(): boolean {
    return this.#destination.startsWith("https:");
  }

  #failed(count: number, reason: string): void {
    if (this.#outage === undefined) {
      this.#outage = { sinceMs: performance.now(), count: 0, reason };
      const { name, consequence } = this.#signal;
      this.#report(
        `telemetry: ${name} cannot be delivered to ${this.#destination}: ${reason}; ${consequence}`,
      );
    }
    this.#outage.count += count;
    this.#outage.reason = reason;
  }

  #succeeded(): void {
    if (this.#outage === undefined) return;
    const { sinceMs, count } = this.#outage;
    this.#outage = undefined;
    const { name, toll } = this.#signal;
    this.#report(
      `telemetry: ${name} are delivered to ${this.#destination} again, after ` +
        `${secondsSince(sinceMs)} s; ${toll(count)}`,
    );
  }
}

function secondsSince(startMs: number): string {
  return ((performance.now() - startMs) / 1000).toFixed(1);
}
