import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

/**
 * How often files are looked at, in milliseconds. They are read rather than watched: what rotates
 * certificates swaps symbolic links or whole folders, and each system tells of that differently.
 */
const LOOK_MS = 2_000;

/** Takes lines about files that changed. No line has anything of what is in them. */
export interface FileLog {
  /** New contents are in use. */
  info(line: string): void;
  /** New contents can't be used. */
  warn(line: string): void;
}

/** Some files that belong together, and what is made of them: always the last that could be used. */
export class WatchedFiles<T> {
  readonly #paths: readonly string[];
  readonly #parse: (contents: readonly Buffer[]) => T;
  readonly #log: FileLog;
  readonly #lookMs: number;
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;
  /** What the value was made of. */
  #state: string;
  /** What was found instead and can't be used, and how often it was found. */
  #bad = { state: "", times: 0 };
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads the files.
   *
   * @param parse makes the value of the contents, in the order of the paths; throws an error that
   *   says without secrets why they can't be used
   * @param lookMs for tests
   * @throws {Error} the runtime's error if a file can't be read, or what `parse` throws with the
   *   names of the files before it
   */
  constructor(
    paths: readonly string[],
    parse: (contents: readonly Buffer[]) => T,
    log: FileLog,
    lookMs = LOOK_MS,
  ) {
    this.#paths = paths;
    this.#parse = parse;
    this.#log = log;
    this.#lookMs = lookMs;
    const contents = paths.map((path) => readFileSync(path));
    this.#state = digest(contents);
    try {
      this.#value = parse(contents);
    } catch (error) {
      throw new Error(`${this.#names}: ${(error as Error).message}`);
    }
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
      if (this.#listeners.size > 0) this.#wait();
    }, this.#lookMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    let state = "";
    try {
      const contents = await Promise.all(this.#paths.map((path) => readFile(path)));
      state = digest(contents);
      if (state !== this.#state) this.#value = this.#parse(contents);
    } catch (error) {
      const { message } = error as Error;
      return this.#refuse(state || message, message);
    }
    this.#bad = { state: "", times: 0 };
    if (state === this.#state) return;
    this.#state = state;
    this.#log.info(`${this.#names} changed: the new content is in use`);
    for (const listener of this.#listeners) this.#tell(listener);
  }

  /** What a listener cannot do with new content must not end the process, nor keep others from it. */
  #tell(listener: (value: T) => void): void {
    try {
      listener(this.#value);
    } catch (error) {
      this.#log.warn(`${this.#names} changed, but is not in use: ${(error as Error).message}`);
    }
  }

  /** Says so when it is found twice: in between, one file may be new and the other about to be. */
  #refuse(state: string, reason: string): void {
    const times = state === this.#bad.state ? this.#bad.times + 1 : 1;
    this.#bad = { state, times };
    if (times !== 2) return;
    this.#log.warn(
      `${this.#names} changed, but cannot be used; what was there before stays in use: ${reason}`,
    );
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
