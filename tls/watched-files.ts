import { createHash } from "node:crypto";
import { readRegularFile, readRegularFileSync } from "./regular-file.ts";
import { exitDespite, inTurn } from "./hanging-reads.ts";
import { thrownText } from "../log/thrown-text.ts";

/**
 * How often files are looked at, in milliseconds. They are read rather than watched: what rotates
 * certificates swaps symbolic links or whole folders, and each system tells of that differently.
 */
const LOOK_MS = 2_000;

/** How long a look may take, in milliseconds: a read from a network file system may never end. */
const LOOK_LIMIT_MS = 5_000;
const TOO_SLOW = `reading takes more than ${
  LOOK_LIMIT_MS / 1000
} s, here or of another file before`;

/** Takes lines about files that changed. No line has anything of what is in them. */
export interface FileLog {
  /** New contents are in use. */
  info(line: string): void;
  /** New contents can't be used. */
  warn(line: string): void;
}

/** What the time of day means for contents, such as certificates that expire. */
export interface Validity {
  /** Whether the contents can be used now; such contents are not replaced by others that cannot. */
  isGood(nowMs: number): boolean;
  /** What is to be said of the contents now, one line each. */
  warnings(nowMs: number): readonly string[];
}

const ALWAYS_VALID: Validity = { isGood: () => true, warnings: () => [] };

/**
 * Some files that belong together, and what is made of them: always the last that could be used. A
 * log, a parser or a listener that throws ends nothing.
 */
export class WatchedFiles<T> {
  readonly #paths: readonly string[];
  readonly #parse: (contents: readonly Buffer[]) => T;
  readonly #validityOf: (contents: readonly Buffer[]) => Validity;
  readonly #log: FileLog;
  readonly #lookMs: number;
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;
  #validity: Validity;
  /** What the value was made of. */
  #state: string;
  /** What was found instead and can't be used, and how often it was found. */
  #bad = { state: "", times: 0 };
  /** The warnings about the value that are given already. */
  #warned: readonly string[] = [];
  /** The read that is under way. There is one at most, even if it never ends. */
  #reading: { readonly contents: Promise<Buffer[]>; isLate: boolean } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads the files and warns of contents that are not valid now.
   *
   * @param parse makes the value of the contents, in the order of the paths; throws an error that
   *   says without secrets why they can't be used
   * @param lookMs for tests
   * @param validityOf tells of contents that can be parsed when they are valid; always by default
   * @throws {UnfitFileError} if a file is not a regular one, or too large
   * @throws {Error} the runtime's error if a file can't be read, or what `parse` throws with the
   *   names of the files before it
   */
  constructor(
    paths: readonly string[],
    parse: (contents: readonly Buffer[]) => T,
    log: FileLog,
    lookMs = LOOK_MS,
    validityOf: (contents: readonly Buffer[]) => Validity = () => ALWAYS_VALID,
  ) {
    this.#paths = paths;
    this.#parse = parse;
    this.#validityOf = validityOf;
    this.#log = log;
    this.#lookMs = lookMs;
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

  /** What the files say, as far as it is known. */
  get value(): T {
    return this.#value;
  }

  /**
   * Tells of each new value. Only as long as there is somebody to tell are the files looked at, and
   * that never keeps the process alive.
   *
   * @returns ends it
   */
  onChange(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#wait();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearTimeout(this.#timer);
    };
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.#look();
      this.#warn();
      if (this.#listeners.size > 0) this.#wait();
    }, this.#lookMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    let state = "";
    try {
      const contents = await this.#read();
      state = digest(contents);
      if (state !== this.#state) this.#take(contents);
    } catch (error) {
      const reason = thrownText(error);
      return this.#refuse(state || reason, reason);
    }
    this.#bad = { state: "", times: 0 };
    if (state === this.#state) return;
    this.#state = state;
    this.#say("info", `${this.#names} changed: the new content is in use`);
    for (const listener of this.#listeners) this.#tell(listener);
  }

  /**
   * Reads the files. Of a read that is late the next look takes the result, so that slow files are
   * read too.
   *
   * @throws {Error} if the files cannot be read, or not in time
   */
  async #read(): Promise<Buffer[]> {
    const reading = this.#reading ??= { contents: inTurn(() => this.#readAll()), isLate: false };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), reading.isLate ? 0 : LOOK_LIMIT_MS);
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
    if (!reading.isLate) exitDespite(reading.contents);
    reading.isLate = true;
    throw new Error(TOO_SLOW);
  }

  async #readAll(): Promise<Buffer[]> {
    const contents: Buffer[] = [];
    for (const path of this.#paths) contents.push(await readRegularFile(path));
    return contents;
  }

  /** @throws {Error} if the contents are worse than those in use */
  #take(contents: readonly Buffer[]): void {
    const value = this.#parse(contents);
    const validity = this.#validityOf(contents);
    const nowMs = Date.now();
    if (!validity.isGood(nowMs) && this.#validity.isGood(nowMs)) {
      throw new Error(validity.warnings(nowMs).join("; "));
    }
    this.#value = value;
    this.#validity = validity;
  }

  /** Says once what has to be said of the value. It may be more as time goes by. */
  #warn(): void {
    const warnings = this.#validity.warnings(Date.now());
    for (const warning of warnings) {
      if (!this.#warned.includes(warning)) this.#say("warn", `${warning}; put a valid one there`);
    }
    this.#warned = warnings;
  }

  /** What a listener cannot do with new content must not end the process, nor keep others from it. */
  #tell(listener: (value: T) => void): void {
    try {
      listener(this.#value);
    } catch (error) {
      this.#say("warn", `${this.#names} changed, but is not in use: ${thrownText(error)}`);
    }
  }

  /** Says so when it is found twice: in between, one file may be new and the other about to be. */
  #refuse(state: string, reason: string): void {
    const times = state === this.#bad.state ? this.#bad.times + 1 : 1;
    this.#bad = { state, times };
    if (times !== 2) return;
    this.#say(
      "warn",
      `${this.#names} changed, but cannot be used; what was there before stays in use: ${reason}`,
    );
  }

  /** A log that fails costs the line. */
  #say(level: keyof FileLog, line: string): void {
    try {
      this.#log[level](line);
    } catch {
      // There is nowhere else to say it.
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
