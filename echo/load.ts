/** @module Load: a number of workers that make calls at a given rate until a run is over. */
import { status } from "@grpc/grpc-js";
import { LatencyHistogram } from "./latency-histogram.ts";
import { backoffMs, Pace, Pauses, systemClock } from "./pacing.ts";
import type { Clock } from "./pacing.ts";
import type { Reporter } from "./reporter.ts";
import { summarize } from "./summary.ts";
import type { LoadSummary, Tally } from "./summary.ts";

/** How much load to make, and for how long. */
export interface LoadOptions {
  /** Calls at a time, 1 or more. */
  readonly concurrency: number;
  /** Calls started per second over all workers; 0 for no limit. */
  readonly qps: number;
  /** Calls in all; 0 for no limit. */
  readonly count: number;
  /** Seconds after which no more calls start; 0 for no limit. */
  readonly durationSeconds: number;
  /** Milliseconds that each worker pauses after a reply. */
  readonly intervalMs: number;
  /** When it aborts, no more calls start. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that running calls get to end after a stop; 1000 by default. */
  readonly graceMs?: number | undefined;
}

/** A call in progress, such as a grpc-js call object. */
export interface RunningCall {
  /** Ends the call soon, with an error. Does nothing if it has ended. */
  cancel(): void;
}

/** Why a call failed, as in grpc-js's `ServiceError`. */
export interface CallError {
  /** The gRPC status number. */
  readonly code: number;
  readonly details: string;
}

/**
 * Starts one call. It calls `done` when it ends, with null and the text to print for the reply, or
 * with an error.
 *
 * It takes a callback, as grpc-js does, not a promise and an `AbortSignal`: one listener for each
 * call costs Bun a few percent of its QPS.
 */
export type Call = (done: (error: CallError | null, text?: string) => void) => RunningCall;

const DEFAULT_GRACE_MS = 1000;
const PROGRESS_MS = 1000;
/**
 * How many status codes are counted and printed one by one. gRPC defines 17, but a server may send
 * any number.
 */
const MAX_CODES = 32;

/**
 * Makes calls until the count is reached, the duration is over or the signal aborts. A failed call
 * is reported and counted, and its worker pauses for 100 ms to 5 s, longer with each failure.
 *
 * @param call starts one call; if it throws, the run ends with that error
 * @returns resolves when the last call has ended
 */
export function runLoad(
  call: Call,
  options: LoadOptions,
  reporter: Reporter,
): Promise<LoadSummary> {
  return new LoadRun(call, options, reporter, systemClock).run();
}

/** One load run: `concurrency` workers, each making one call after the other. */
export class LoadRun {
  readonly #call: Call;
  readonly #options: LoadOptions;
  readonly #reporter: Reporter;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #latency = new LatencyHistogram();
  readonly #errorsByCode = new Map<string, number>();
  readonly #pauses: Pauses;
  readonly #pace: Pace | undefined;
  /** Each worker's latest call. */
  readonly #running: RunningCall[] = [];
  #open = true;
  #callsLeft: number;
  #cancelDuration = () => {};
  #cancelProgress = () => {};
  #cancelGrace: (() => void) | undefined;

  constructor(call: Call, options: LoadOptions, reporter: Reporter, clock: Clock) {
    this.#call = call;
    this.#options = options;
    this.#reporter = reporter;
    this.#clock = clock;
    this.#startMs = clock.now();
    this.#pauses = new Pauses(clock);
    this.#pace = options.qps > 0 ? new Pace(options.qps, clock, this.#pauses) : undefined;
    this.#callsLeft = options.count || Infinity;
  }

  /** Makes the calls, and resolves when the last one has ended. Call it once. */
  async run(): Promise<LoadSummary> {
    const { concurrency, signal, durationSeconds } = this.#options;
    if (signal?.aborted) this.#stop();
    signal?.addEventListener("abort", this.#stop);
    if (durationSeconds > 0) {
      this.#cancelDuration = this.#clock.after(durationSeconds * 1000, this.#stop);
    }
    this.#scheduleProgress();
    try {
      await Promise.all(Array.from({ length: concurrency }, (_, worker) => this.#work(worker)));
    } finally {
      this.#close();
      signal?.removeEventListener("abort", this.#stop);
      this.#cancelDuration();
      this.#cancelProgress();
      this.#cancelGrace?.();
      this.#reporter.finish();
    }
    return summarize(this.#tally());
  }

  async #work(worker: number): Promise<void> {
    const { intervalMs } = this.#options;
    let failures = 0;
    while (this.#open) {
      if (this.#pace !== undefined) {
        await this.#pace.turn();
        if (!this.#open) return;
      }
      this.#callsLeft -= 1;
      if (this.#callsLeft === 0) this.#close();
      const startMs = this.#clock.now();
      const outcome = await new Promise<string | CallError>((resolve) => {
        this.#running[worker] = this.#call((error, text = "") => resolve(error ?? text));
      });
      if (typeof outcome === "string") {
        failures = 0;
        this.#latency.record((this.#clock.now() - startMs) / 1000);
        this.#reporter.reply(outcome);
        if (intervalMs > 0) await this.#pauses.pause(intervalMs);
      } else {
        failures += 1;
        this.#countError(outcome);
        await this.#pauses.pause(backoffMs(failures));
      }
    }
  }

  #countError({ code, details }: CallError): void {
    // Go names an unknown code like this.
    const known = status[code];
    const given = known ?? `Code(${code})`;
    const isKept = known !== undefined || this.#errorsByCode.has(given) ||
      this.#errorsByCode.size < MAX_CODES;
    const name = isKept ? given : "other codes";
    this.#errorsByCode.set(name, (this.#errorsByCode.get(name) ?? 0) + 1);
    this.#reporter.error(name, details, this.#elapsedSeconds());
  }

  /** Starts no more calls, and cancels those still running after the grace period. */
  readonly #stop = () => {
    this.#close();
    this.#cancelGrace ??= this.#clock.after(this.#options.graceMs ?? DEFAULT_GRACE_MS, () => {
      for (const running of this.#running) running.cancel();
    });
  };

  #close(): void {
    this.#open = false;
    this.#pauses.end();
  }

  #scheduleProgress(): void {
    this.#cancelProgress = this.#clock.after(PROGRESS_MS, () => {
      this.#scheduleProgress();
      this.#reporter.progress(this.#tally());
    });
  }

  #elapsedSeconds(): number {
    return (this.#clock.now() - this.#startMs) / 1000;
  }

  #tally(): Tally {
    return {
      latency: this.#latency,
      errorsByCode: this.#errorsByCode,
      elapsedSeconds: this.#elapsedSeconds(),
    };
  }
}
