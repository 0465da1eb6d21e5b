import { ExportResultCode } from "@opentelemetry/core";
import type { ExportResult } from "@opentelemetry/core";
import { diag } from "@opentelemetry/api";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { onRejection } from "../../log/rejection.ts";
import { oneLine } from "../../log/thrown-text.ts";
import type { Answer, PartialSuccess } from "./answers.ts";
import { MAX_EXPORT_BYTES, metricsBytes, spansBytes, splitMetrics, splitSpans } from "./batches.ts";
import { describeFailure, REMEDIES } from "./export-failure.ts";
import type { Failure, FailureKind } from "./export-failure.ts";
import { wellFormedMetrics, wellFormedSpans } from "./well-formed.ts";

/** A kind of telemetry data, and the words for it in log lines. */
export interface Signal<T> {
  readonly name: "metrics" | "spans";
  readonly unit: "points" | "spans";
  /** Counts the data in one export. */
  readonly count: (exported: T) => number;
  /** Returns the largest size of one export, in bytes. */
  readonly bytes: (exported: T) => number;
  /** Splits an export into several of at most that many bytes. */
  readonly split: (exported: T, maxBytes: number) => T[];
  /** Replaces lone halves of characters. */
  readonly wellFormed: (exported: T) => T;
  /** What happens to the data while exports fail. */
  readonly consequence: string;
  /** The same, if exports fail until somebody does something about it. */
  readonly lastingConsequence: string;
  /** What happened to that much data, for the line when exports succeed again. */
  readonly toll: (count: number) => string;
}

export const METRICS: Signal<ResourceMetrics> = {
  name: "metrics",
  unit: "points",
  count: ({ scopeMetrics }) => {
    let points = 0;
    for (const { metrics } of scopeMetrics) {
      for (const { dataPoints } of metrics) points += dataPoints.length;
    }
    return points;
  },
  bytes: metricsBytes,
  split: splitMetrics,
  wellFormed: wellFormedMetrics,
  consequence: "recording goes on, and the next delivery makes up for it",
  lastingConsequence: "recording goes on, but they do not arrive until this is mended",
  toll: (points) => `${points} points were late`,
};

export const SPANS: Signal<ReadableSpan[]> = {
  name: "spans",
  unit: "spans",
  count: (spans) => spans.length,
  bytes: spansBytes,
  split: splitSpans,
  wellFormed: wellFormedSpans,
  consequence: "they are lost",
  lastingConsequence: "they are lost, and others will be until this is mended",
  toll: (spans) => `${spans} were lost`,
};

/** The part that exporters of metrics and of spans have in common. */
export interface Exporter<T> {
  export(exported: T, done: (result: Answer) => void): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

/** The exports that have failed since the last delivery that succeeded. */
interface Outage {
  readonly sinceMs: number;
  count: number;
  reason: string;
  /** Whether it is about some batches of a delivery only. */
  isPartial: boolean;
  /** The kinds of failures that were reported. */
  readonly reported: Set<FailureKind>;
}

/** The smallest export, in bytes, that is split further if it is refused as too large. */
const MIN_SPLIT_BYTES = 64 * 1024;

/**
 * An exporter that reports in one line when exports begin to fail, and in one when they succeed
 * again. The stock exporters are silent, or with a logger print a stack at every tick.
 *
 * It exports in batches of bounded size, which together are one delivery.
 *
 * It selects no temporality, so that readers keep the SDK's default, which is cumulative.
 */
export class ReportingExporter<T> implements Exporter<T> {
  readonly #signal: Signal<T>;
  #exporter: Exporter<T>;
  readonly #destination: string;
  readonly #timeoutMs: number;
  readonly #report: (line: string) => void;
  readonly #deliveryMs: number;
  /** Becomes smaller if the receiver or a proxy takes less. */
  #maxBytes = MAX_EXPORT_BYTES;
  #outage: Outage | undefined;
  /** The data that the receiver has rejected since it last took all. */
  #rejections: { readonly sinceMs: number; count: number } | undefined;
  /** How much is being exported now. */
  #pending = 0;

  /**
   * @param exporter sends the data
   * @param destination URL that it exports to, without secrets; `https:` means TLS
   * @param timeoutMs longest time of one export, in milliseconds. The stock exporters keep theirs only
   * roughly: over HTTP it limits silence, and starts again whenever data arrives
   * @param report receives the log lines
   * @param deliveryMs longest time of one delivery, in milliseconds; its first export may take longer
   */
  constructor(
    signal: Signal<T>,
    exporter: Exporter<NoInfer<T>>,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
    deliveryMs: number = timeoutMs,
  ) {
    this.#signal = signal;
    this.#exporter = exporter;
    this.#destination = destination;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
    this.#deliveryMs = deliveryMs;
  }

  /**
   * Delivers data in one or more exports.
   *
   * @param done receives success in any case, because this class reports failures itself
   */
  export(exported: T, done: (result: ExportResult) => void): void {
    const count = this.#signal.count(exported);
    this.#pending += count;
    this.#deliver(exported)
      .catch((error: unknown) => this.#failed(count, describeFailure(error, this.#isSecure), false))
      .then(() => {
        this.#pending -= count;
        done({ code: ExportResultCode.SUCCESS });
      });
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
    const last = this.#outage?.isPartial ? "some of the last" : "the last";
    return `telemetry: ${last} ${this.#signal.name} could not be delivered to ` +
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

  /** Exports all batches, also after one that the receiver refuses. */
  async #deliver(exported: T): Promise<void> {
    const { count, split, wellFormed } = this.#signal;
    const endMs = performance.now() + this.#deliveryMs;
    const batches = split(wellFormed(exported), this.#maxBytes);
    const taken = { count: 0, rejected: 0, message: "" };
    let isComplete = true;
    let limitMs = this.#timeoutMs;
    const tooSlow: Failure = {
      kind: "no answer",
      reason: `the delivery takes longer than ${this.#deliveryMs / 1000} s`,
    };
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const answer = limitMs > 0 ? await this.#send(batch, limitMs) : tooSlow;
      if ("kind" in answer) {
        const halves = answer.kind === "too large" ? this.#halves(batch) : undefined;
        if (halves !== undefined) batches.unshift(...halves);
        else {
          isComplete = false;
          // After silence, the other batches would only wait too.
          const others = answer.kind === "no answer" ? batches.splice(0) : [];
          const failed = others.reduce((sum, other) => sum + count(other), count(batch));
          const isAboutBatch = answer.kind === "too large" || answer.kind === "bad data";
          const isPartial = taken.count > 0 || (isAboutBatch && batches.length > 0);
          this.#failed(failed, answer, isPartial);
        }
      } else {
        taken.count += count(batch);
        taken.rejected += answer.rejected;
        taken.message ||= answer.message;
      }
      limitMs = Math.min(this.#timeoutMs, endMs - performance.now());
    }
    if (isComplete) this.#succeeded();
    if (isComplete || taken.rejected > 0) this.#took(taken);
  }

  /** Exports once. The export ends once, even if the exporter calls back twice, throws or rejects. */
  #send(batch: T, limitMs: number): Promise<PartialSuccess | Failure> {
    return new Promise((resolve) => {
      const end = (answer: PartialSuccess | Failure): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      const fail = (thrown: unknown) => end(describeFailure(thrown, this.#isSecure));
      const timer = setTimeout(() => {
        end({ kind: "no answer", reason: `no answer within ${Math.round(limitMs) / 1000} s` });
      }, limitMs);
      try {
        const returned: unknown = this.#exporter.export(batch, (result) => {
          if (result.code === ExportResultCode.FAILED) fail(result.error);
          else end(result.partialSuccess ?? { rejected: 0, message: "" });
        });
        onRejection(returned, fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  /** Splits a batch that was refused as too large, and the batches of later deliveries. */
  #halves(batch: T): T[] | undefined {
    const bytes = this.#signal.bytes(batch);
    if (bytes < MIN_SPLIT_BYTES || this.#signal.count(batch) < 2) return undefined;
    this.#maxBytes = Math.min(this.#maxBytes, bytes / 2);
    return this.#signal.split(batch, bytes / 2);
  }

  #failed(count: number, { reason, kind }: Failure, isPartial: boolean): void {
    this.#outage ??= {
      sinceMs: performance.now(),
      count: 0,
      reason,
      isPartial,
      reported: new Set(),
    };
    const { reported } = this.#outage;
    const remedy = REMEDIES[kind];
    // An outage that began as one that heals may become one that does not.
    if (reported.size === 0 || (remedy !== undefined && !reported.has(kind))) {
      const { name, consequence, lastingConsequence } = this.#signal;
      const what = isPartial ? `some ${name}` : name;
      this.#report(
        `telemetry: ${what} cannot be delivered to ${this.#destination}: ${reason}; ` +
          (remedy === undefined ? consequence : `${lastingConsequence}: ${remedy}`),
      );
    }
    reported.add(kind);
    this.#outage.count += count;
    this.#outage.reason = reason;
    this.#outage.isPartial = isPartial;
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

  /** Reports when the receiver begins to reject parts of what it takes, and when it takes all again. */
  #took({ count, rejected, message }: PartialSuccess & { readonly count: number }): void {
    const { name, unit } = this.#signal;
    const text = oneLine(message);
    if (rejected > 0) {
      if (this.#rejections === undefined) {
        this.#rejections = { sinceMs: performance.now(), count: 0 };
        this.#report(
          `telemetry: ${this.#destination} takes ${name} only in part: it rejects ${rejected} of ` +
            `${count} ${unit}: ${text || "it does not say why"}`,
        );
      }
      this.#rejections.count += rejected;
      return;
    }
    if (this.#rejections !== undefined) {
      this.#report(
        `telemetry: ${this.#destination} takes all ${name} again, after ` +
          `${
            secondsSince(this.#rejections.sinceMs)
          } s; it rejected ${this.#rejections.count} ${unit}`,
      );
      this.#rejections = undefined;
    }
    if (text !== "") diag.warn(`${this.#destination} takes the ${name}, but warns:`, text);
  }
}

function secondsSince(startMs: number): string {
  return ((performance.now() - startMs) / 1000).toFixed(1);
}
