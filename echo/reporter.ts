import type { LatencyHistogram } from "./latency-histogram.ts";
import { countCalls, formatLatency } from "./summary.ts";
import type { Tally } from "./summary.ts";

/** Receives the events of a load run. */
export interface Reporter {
  /** A call succeeded; `text` is its reply. */
  reply(text: string): void;
  /** A call failed; `elapsedSeconds` counts from the start of the run. */
  error(code: string, details: string, elapsedSeconds: number): void;
  /** Called about once a second. */
  progress(tally: Tally): void;
  /** The run is over. */
  finish(): void;
}

/** The part of `process.stdout` and `process.stderr` that a reporter uses. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** Carriage return, then erase to the end of the line (ECMA-48 EL). */
const CLEAR_LINE = "\r\x1b[K";
const DEFAULT_COLUMNS = 80;
/** How many calls of `progress` make one line where no terminal shows a live one. */
const PLAIN_PROGRESS_TICKS = 5;

/**
 * Creates a reporter that suits the output. With one concurrent call, it prints each reply. With
 * more, it redraws one status line every second on a terminal, and prints a progress line every 5 s
 * elsewhere. Errors go to `stderr`, collapsed by status code: at most one line per second at first,
 * and one every 10 s while the errors continue.
 *
 * @param options.concurrency calls at a time
 * @param options.stdout `process.stdout`
 * @param options.stderr `process.stderr`
 * @param options.refused A line for `stderr` after the first refused connection, unless a call has
 * succeeded by then.
 */
export function createReporter(
  { concurrency, stdout, stderr, refused }: {
    concurrency: number;
    stdout: Output;
    stderr: Output;
    refused?: string | undefined;
  },
): Reporter {
  const style = concurrency === 1 ? "replies" : stdout.isTTY ? "live" : "plain";
  return new ConsoleReporter(style, stdout, stderr, refused);
}

class ConsoleReporter implements Reporter {
  readonly #style: "replies" | "live" | "plain";
  readonly #stdout: Output;
  readonly #errors: ErrorLines;
  readonly #printError: (line: string) => void;
  /** What to print after the first refused connection; undefined once that is done or not needed. */
  #refused: string | undefined;
  /** The status line that the terminal shows. */
  #live = "";
  #ticks = 0;
  #last: { latency: LatencyHistogram; calls: number; elapsedSeconds: number } | undefined;

  constructor(
    style: "replies" | "live" | "plain",
    stdout: Output,
    stderr: Output,
    refused: string | undefined,
  ) {
    this.#style = style;
    this.#stdout = stdout;
    this.#refused = refused;
    this.#printError = (line) => {
      const live = this.#live;
      this.#draw("");
      stderr.write(`${line}\n`);
      this.#draw(live);
    };
    this.#errors = new ErrorLines(this.#printError);
  }

  reply(text: string): void {
    this.#refused = undefined;
    if (this.#style === "replies") this.#stdout.write(`${text}\n`);
  }

  error(code: string, details: string, elapsedSeconds: number): void {
    this.#errors.add(code, details, elapsedSeconds);
    if (!details.includes("ECONNREFUSED") || this.#refused === undefined) return;
    this.#printError(this.#refused);
    this.#refused = undefined;
  }

  progress(tally: Tally): void {
    this.#errors.flush(tally.elapsedSeconds);
    this.#ticks += 1;
    if (this.#style === "live") {
      this.#draw(this.#describe(tally));
    } else if (this.#style === "plain" && this.#ticks % PLAIN_PROGRESS_TICKS === 0) {
      this.#stdout.write(`${this.#describe(tally)}\n`);
    }
  }

  finish(): void {
    this.#draw("");
    this.#errors.flush(Infinity);
  }

  /** Returns one line: rate and latencies since the previous line, errors since the start. */
  #describe(tally: Tally): string {
    const { latency, errorsByCode, elapsedSeconds } = tally;
    const last = this.#last;
    const calls = countCalls(tally);
    const recent = last === undefined ? latency : latency.since(last.latency);
    const qps = (calls - (last?.calls ?? 0)) / (elapsedSeconds - (last?.elapsedSeconds ?? 0));
    this.#last = { latency: latency.copy(), calls, elapsedSeconds };
    const parts = [`${elapsedSeconds.toFixed(0)} s`, `${qps.toFixed(qps < 10 ? 1 : 0)} QPS`];
    for (const percent of recent.count > 0 ? [50, 95, 99] : []) {
      parts.push(`p${percent} ${formatLatency(recent.percentile(percent))}`);
    }
    for (const [code, count] of errorsByCode) parts.push(`${code} ${count}`);
    return parts.join("  ");
  }

  /** Replaces the live line. The last column stays free, because some terminals wrap there. */
  #draw(line: string): void {
    if (line === "" && this.#live === "") return;
    this.#live = line;
    const columns = this.#stdout.columns || DEFAULT_COLUMNS;
    this.#stdout.write(CLEAR_LINE + line.slice(0, columns - 1));
  }
}

/** Shortest time between the first two lines of one status code. It doubles with each line. */
const FIRST_QUIET_SECONDS = 1;
const MAX_QUIET_SECONDS = 10;

interface CodeState {
  printedAt: number;
  /** No line is due for this long after the last one. */
  quietSeconds: number;
  details: string;
  unprinted: number;
  /** Whether the unprinted errors have different details. */
  differ: boolean;
}

/**
 * Turns errors into lines, fewer and fewer for each status code, so that many workers that fail
 * alike, or a server that stays away, don't flood the terminal. The first error is printed at once;
 * a later line gives the number of errors and the details of the latest. Errors of one code share
 * lines whatever their details are: those of grpc-js contain times. Over a run, the lines account
 * for every error.
 */
class ErrorLines {
  readonly #print: (line: string) => void;
  readonly #byCode = new Map<string, CodeState>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Adds one error; `elapsedSeconds` must not decrease from call to call. */
  add(code: string, details: string, elapsedSeconds: number): void {
    let state = this.#byCode.get(code);
    if (state === undefined) {
      state = { printedAt: -Infinity, quietSeconds: 0, details, unprinted: 0, differ: false };
      this.#byCode.set(code, state);
    }
    state.differ ||= state.unprinted > 0 && details !== state.details;
    state.details = details;
    state.unprinted += 1;
    this.flush(elapsedSeconds);
  }

  /** Prints the lines that are due; all of them at `Infinity`. */
  flush(elapsedSeconds: number): void {
    for (const [code, state] of this.#byCode) {
      const quiet = elapsedSeconds - state.printedAt;
      if (state.unprinted === 0 || quiet < state.quietSeconds) continue;
      // A server chooses the details: remove line breaks and terminal controls.
      const details = state.details.replaceAll(/\p{Cc}+/gu, " ").trim();
      const last = state.differ ? ", this one last" : "";
      const repeats = state.unprinted > 1 ? ` (${state.unprinted} times${last})` : "";
      this.#print(`${code}: ${details}${repeats}`);
      // After a long time without errors, the code starts anew.
      const before = quiet > 2 * MAX_QUIET_SECONDS ? 0 : state.quietSeconds;
      state.quietSeconds = Math.min(2 * before || FIRST_QUIET_SECONDS, MAX_QUIET_SECONDS);
      state.printedAt = elapsedSeconds;
      state.unprinted = 0;
      state.differ = false;
    }
  }
}
