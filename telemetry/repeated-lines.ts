/** How long a line of the same kind is not shown again. */
const QUIET_MS = 3_600_000;

/** Texts in lines may come from peers, which must not make memory or the log grow. */
const MAX_KINDS = 100;

/** A kind of line that was shown. */
interface Kind {
  readonly shownMs: number;
  hidden: number;
}

/**
 * Limits a log to one line of each kind in an hour. Lines that differ only in numbers and ids are of
 * one kind, for example `Dropped 3 events` and `Dropped 4 events`.
 */
export class RepeatedLines {
  readonly #now: () => number;
  readonly #kinds = new Map<string, Kind>();

  /** @param now returns a time in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Returns the line to show, with the number of those that were not shown since the last one;
   * undefined if the line is not to be shown.
   */
  shown(line: string): string | undefined {
    const kind = line.replace(/\b[\da-f]{16,}\b|\d+/g, "#");
    const nowMs = this.#now();
    const known = this.#kinds.get(kind);
    if (known !== undefined && nowMs - known.shownMs < QUIET_MS) {
      known.hidden++;
      return undefined;
    }
    if (known === undefined && this.#kinds.size >= MAX_KINDS) {
      for (const [old, { shownMs }] of this.#kinds) {
        if (nowMs - shownMs >= QUIET_MS) this.#kinds.delete(old);
      }
      if (this.#kinds.size >= MAX_KINDS) return undefined;
    }
    this.#kinds.set(kind, { shownMs: nowMs, hidden: 0 });
    return known?.hidden ? `${line} (and ${known.hidden} more like it in between)` : line;
  }
}
