const QUIET_SECONDS = 1;

interface CodeState {
  printedAt: number;
  details: string;
  unprinted: number;
}

/**
 * Turns errors into lines, at most one per second and status code, so that many workers failing alike
 * don't flood the terminal. The first error shows at once; a line for several tells how many and the
 * latest one's details. Over a run, the lines account for every error.
 */
export class ErrorLines {
  readonly #print: (line: string) => void;
  readonly #byCode = new Map<string, CodeState>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Takes one error; `elapsedSeconds` never decreases from call to call. */
  add(code: string, details: string, elapsedSeconds: number): void {
    let state = this.#byCode.get(code);
    if (state === undefined) {
      state = { printedAt: -Infinity, details, unprinted: 0 };
      this.#byCode.set(code, state);
    }
    state.details = details;
    state.unprinted += 1;
    this.flush(elapsedSeconds);
  }

  /** Prints what is due; at `Infinity`, all that was held back. */
  flush(elapsedSeconds: number): void {
    for (const [code, state] of this.#byCode) {
      if (state.unprinted === 0 || elapsedSeconds - state.printedAt < QUIET_SECONDS) continue;
      // A server chooses the details: neither line breaks nor terminal controls get through.
      const details = state.details.replaceAll(/\p{Cc}+/gu, " ").trim();
      const repeats = state.unprinted > 1 ? ` (${state.unprinted} times)` : "";
      this.#print(`${code}: ${details}${repeats}`);
      state.printedAt = elapsedSeconds;
      state.unprinted = 0;
    }
  }
}
