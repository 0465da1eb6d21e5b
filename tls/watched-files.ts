import { createHash } from "node:crypto";
import { thrownText } from "../log/thrown-text.ts";
import { killOnExitDuring, readInTurn } from "./hanging-reads.ts";
import { readRegularFile, readRegularFileSync } from "./regular-file.ts";

/**
 * How often the files are read again, in milliseconds. Polling works where file events do not:
 * certificates are rotated by swapping symbolic links or whole folders, and each system reports that
 * differently.
 */
const POLL_INTERVAL_MS = 2_000;

/** How long a read may take, in milliseconds. One from a network file system may never end. */
const READ_LIMIT_MS = 5_000;
const TOO_SLOW = `reading takes more than ${
  READ_LIMIT_MS / 1000
} s, of these files or of others before them`;

/** Receives lines about changed files. The lines contain nothing of the files' contents. */
export interface FileLog {
  /** Reports that new contents are in use. */
  info(line: string): void;
  /** Reports that new contents cannot be used, or are not valid now. */
  warn(line: string): void;
}

/** When contents are valid, for example certificates. Times are in milliseconds since the epoch. */
export interface Validity {
  /** Returns whether the contents are valid now. Invalid ones never replace valid ones. */
  isValid(nowMs: number): boolean;
  /** Returns the warnings to give about the contents now, one line each. */
  warnings(nowMs: number): readonly string[];
}

const ALWAYS_VALID: Validity = { isValid: () => true, warnings: () => [] };

/** Options of {@linkcode WatchedFiles}. */
export interface WatchedFilesOptions {
  /** Returns when parsed contents are valid. By default they always are. */
  readonly validityOf?: (contents: readonly Buffer[]) => Validity;
  /** How often the files are read again, in milliseconds. Tests shorten it. */
  readonly pollIntervalMs?: number;
}

/**
 * A value parsed from a set of files, which are polled for changes. If new contents cannot
 * be used, the last good value stays. Nothing stops when a log, a parser or a listener throws.
 */
export class WatchedFiles<T> {
  readonly #paths: readonly string[];
  readonly #parse: (contents: readonly Buffer[]) => T;
  readonly #validityOf: (contents: readonly Buffer[]) => Validity;
  readonly #logger: FileLog;
  readonly #pollIntervalMs: number;
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;
  #validity: Validity;
  /** The digest of the contents that the value was parsed from. */
  #state: string;
  /** Contents that cannot be used, by digest or error, and how many polls have found them. */
  #bad = { state: "", times: 0 };
  /** The warnings about the value that were already given. */
  #warned: readonly string[] = [];
  /** The read in progress. There is at most one, even if it never ends. */
  #reading: { readonly contents: Promise<Buffer[]>; isLate: boolean } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads the files, and warns if their contents are not valid now.
   *
   * @param parse returns the value for the contents, which are in the order of the paths; throws an
   *   error without secrets if they cannot be used
   * @param log receives one line for each change and each warning
   * @throws {UnfitFileError} if a file is not a regular one, or is larger than 1 MiB
   * @throws {Error} the runtime's error if a file cannot be read, or the error of `parse` with the
   *   paths in front
   */
  constructor(
    paths: readonly string[],
    parse: (contents: readonly Buffer[]) => T,
    log: FileLog,
    options: WatchedFilesOptions = {},
  ) {
    const { validityOf = () => ALWAYS_VALID, pollIntervalMs = POLL_INTERVAL_MS } = options;
    this.#paths = paths;
    this.#parse = parse;
    this.#validityOf = validityOf;
    this.#logger = log;
    this.#pollIntervalMs = pollIntervalMs;
    const contents = paths.map(readRegularFileSync);
    this.#state = digest(contents);
    try {
      this.#value = parse(contents);
      this.#validity = validityOf(contents);
    } catch (error) {
      throw new Error(`${this.#names}: ${thrownText(error)}`);
    }
    this.#warn();
  }

  /** The value of the last contents that could be used. */
  get value(): T {
    return this.#value;
  }

  /**
   * Calls a listener with each new value. The files are read again only while there are listeners.
   * Watching never keeps the process alive.
   *
   * @returns a function that removes the listener
   */
  onChange(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#schedulePoll();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearTimeout(this.#timer);
    };
  }

  #schedulePoll(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.#poll();
      this.#warn();
      if (this.#listeners.size > 0) this.#schedulePoll();
    }, this.#pollIntervalMs);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    let state = "";
    try {
      const contents = await this.#read();
      state = digest(contents);
      if (state !== this.#state) this.#use(contents);
    } catch (error) {
      const reason = thrownText(error);
      return this.#refuse(state || reason, reason);
    }
    this.#bad = { state: "", times: 0 };
    if (state === this.#state) return;
    this.#state = state;
    this.#log("info", `${this.#names} changed: the new content is in use`);
    for (const listener of this.#listeners) this.#notify(listener);
  }

  /**
   * Reads the files. A read that is too slow goes on, and a later poll takes its result, so that
   * slow files are read too.
   *
   * @throws {Error} if the files cannot be read, or not in time
   */
  async #read(): Promise<Buffer[]> {
    const reading = this.#reading ??= {
      contents: readInTurn(() => this.#readAll()),
      isLate: false,
    };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), reading.isLate ? 0 : READ_LIMIT_MS);
      timer.unref();
    });
    try {
      const contents = await Promise.race([reading.contents, limit]);
      if (contents !== "late") {
        this.#reading = undefined;
        return contents;
      }
    } catch (error) {
      this.#reading = undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (!reading.isLate) killOnExitDuring(reading.contents);
    reading.isLate = true;
    throw new Error(TOO_SLOW);
  }

  async #readAll(): Promise<Buffer[]> {
    const contents: Buffer[] = [];
    for (const path of this.#paths) contents.push(await readRegularFile(path));
    return contents;
  }

  /** @throws {Error} if the contents cannot be parsed, or are invalid while those in use are valid */
  #use(contents: readonly Buffer[]): void {
    const value = this.#parse(contents);
    const validity = this.#validityOf(contents);
    const nowMs = Date.now();
    if (!validity.isValid(nowMs) && this.#validity.isValid(nowMs)) {
      throw new Error(validity.warnings(nowMs).join("; "));
    }
    this.#value = value;
    this.#validity = validity;
  }

  /** Gives each warning about the value once. The passing of time may add some. */
  #warn(): void {
    const warnings = this.#validity.warnings(Date.now());
    for (const warning of warnings) {
      if (!this.#warned.includes(warning)) this.#log("warn", `${warning}; put a valid one there`);
    }
    this.#warned = warnings;
  }

  /** A listener that throws must not end the process or keep the others from the new value. */
  #notify(listener: (value: T) => void): void {
    try {
      listener(this.#value);
    } catch (error) {
      this.#log("warn", `${this.#names} changed, but is not in use: ${thrownText(error)}`);
    }
  }

  /**
   * Warns the second time the same contents are found: at the first time, one file may be new and
   * another one about to be replaced.
   */
  #refuse(state: string, reason: string): void {
    const times = state === this.#bad.state ? this.#bad.times + 1 : 1;
    this.#bad = { state, times };
    if (times !== 2) return;
    this.#log(
      "warn",
      `${this.#names} changed, but cannot be used; the previous content stays in use: ${reason}`,
    );
  }

  /** Writes a line. If the log throws, the line is lost. */
  #log(level: keyof FileLog, line: string): void {
    try {
      this.#logger[level](line);
    } catch {
      // There is nowhere left to report to.
    }
  }

  get #names(): string {
    return this.#paths.join(", ");
  }
}

function digest(contents: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const content of contents) hash.update(`${content.length}:`).update(content);
  return hash.digest("hex");
}
