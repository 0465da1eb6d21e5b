/** Standard output or standard error. */
type Output = NodeJS.WriteStream;

const PRINTS = ["log", "info", "debug", "warn", "error", "dir"] as const;

/** How many prints are under way; the first adds the listener, the last removes it. */
const pending = new Map<Output, number>();

/**
 * Keeps the program running when nobody reads what it prints, or the disk is full. It is for programs:
 * a library leaves that to the program that it is used in, see {@link withoutOutputErrors}.
 */
export function ignoreOutputErrors(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", ignore);
    // Deno throws when the disk is full.
    output.write = unthrown(output.write.bind(output), true) as Output["write"];
  }
  for (const name of PRINTS) console[name] = unthrown(console[name].bind(console), undefined);
}

/**
 * Prints something, or nothing if the output cannot be written to. Errors of others' prints stay what
 * they are.
 *
 * @param output What `print` writes to.
 */
export function withoutOutputErrors(output: Output, print: () => void): void {
  const before = pending.get(output) ?? 0;
  pending.set(output, before + 1);
  if (before === 0) output.on("error", ignore);
  try {
    print();
    // Node tells of errors later, and of those of an earlier write first.
    output.write("", () => setImmediate(end));
  } catch {
    setImmediate(end);
  }

  function end(): void {
    const others = pending.get(output)! - 1;
    pending.set(output, others);
    if (others === 0) output.off("error", ignore);
  }
}

function ignore(): void {}

/** The same function, which returns a value where it would throw. */
function unthrown<A extends unknown[], R>(run: (...args: A) => R, otherwise: R): (...args: A) => R {
  return (...args) => {
    try {
      return run(...args);
    } catch {
      return otherwise;
    }
  };
}
