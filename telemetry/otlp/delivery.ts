import { onRejection } from "../../log/rejection.ts";
import { failureReason } from "./export-failure.ts";

/** What is delivered, in the words of the lines about it. */
export interface Signal {
  readonly name: "metrics" | "spans";
  /** What becomes of those whose delivery fails, while it goes on failing. */
  readonly consequence: string;
  /** The same, counted, when they are delivered again. */
  readonly toll: (count: number) => string;
}

/** `ExportResultCode.SUCCESS` and `FAILED` of `@opentelemetry/core`. */
const SUCCESS = 0;
const FAILED = 1;

interface Result {
  code: number;
  error?: Error;
}

/** Exports that have failed since the last one that succeeded. */
interface Outage {
  readonly sinceMs: number;
  count: number;
  reason: string;
}

/**
 * Tells in one line when exports begin to fail and in one when they succeed again. The stock
 * exporters are silent, or with a logger print a stack at every tick.
 */
export class Delivery {
  readonly #signal: Signal;
  readonly #destination: string;
  readonly #timeoutMs: number;
  readonly #report: (line: string) => void;
  #outage: Outage | undefined;
  #pending = 0;

  /**
   * @param destination Where exports go, without secrets, for the lines. Its scheme tells of TLS.
   * @param timeoutMs How long an export may take, in milliseconds. The stock exporters hold to theirs
   * only roughly: over HTTP theirs is for silence, and starts again at every sign of life.
   * @param report Takes the lines.
   */
  constructor(
    signal: Signal,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
  ) {
    this.#signal = signal;
    this.#destination = destination;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
  }

  /**
   * Exports once.
   *
   * @param count How much is exported.
   * @param send Starts the export; it calls back when that is over. Whether it calls back twice,
   * throws or rejects, the export ends once.
   * @param done Always called with success: a failure is told here, and not once more by the SDK.
   */
  export(
    count: number,
    send: (callback: (result: Result) => void) => unknown,
    done: (result: Result) => void,
  ): void {
    this.#pending += count;
    let isOver = false;
    const end = (failure?: string): void => {
      // What comes later, comes too late to matter.
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#pending -= count;
      if (failure === undefined) this.#succeeded();
      else this.#failed(count, failure);
      done({ code: SUCCESS });
    };
    const fail = (thrown: unknown) => end(failureReason(thrown, this.#isSecure));
    const timer = setTimeout(
      () => end(`no answer within ${this.#timeoutMs / 1000} s`),
      this.#timeoutMs,
    );
    try {
      const returned = send(({ code, error }) =>
        end(code === FAILED ? failureReason(error, this.#isSecure) : undefined)
      );
      onRejection(returned, fail);
    } catch (error) {
      fail(error);
    }
  }

  /**
   * What has not been delivered, as a line for the log; `undefined` if everything has. To be asked
   * when the process stops.
   */
  undelivered(): string | undefined {
    if (this.#outage === undefined && this.#pending === 0) return undefined;
    const reason = this.#outage?.reason ?? "no answer in time";
    const since = this.#outage ? `, failing for ${secondsSince(this.#outage.sinceMs)} s` : "";
    return `telemetry: the last ${this.#signal.name} could not be delivered to ` +
      `${this.#destination}${since}: ${reason}`;
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
