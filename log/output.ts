/** Standard output or standard error. */
type Output = NodeJS.WriteStream;

const PRINTS = ["log", "info", "debug", "warn", "error", "dir"] as const;

/** Prints in progress for each output. The first one adds the error listener, the last removes it. */
const pending = new Map<Output, number>();

/**
 * Keeps the program running when its output cannot be written, because the reader has gone away or
 * the disk is full. Call it once at the start of a program. A library must not decide this for the
 * program that uses it: there, use {@link withoutOutputErrors}.
 */
export function ignoreOutputErrors(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", ignore);
    // Deno throws from `write` when the disk is full.
    output.write = withoutThrowing(output.write.bind(output), true) as Output["write"];
  }
  for (const name of PRINTS) {
    console[name] = withoutThrowing(console[name].bind(console), undefined);
  }
}

/**
 * Runs a function that prints, and drops the text if the output cannot be written. Errors of other
 * prints are left alone.
 *
 * @param output the stream that `print` writes to
 * @param print prints with the console or with `output.write`
 */
export function withoutOutputErrors(output: Output, print: () => void): void {
  const before = pending.get(output) ?? 0;
  pending.set(output, before + 1);
  if (before === 0) output.on("error", ignore);
  try {
    print();
    // Node emits errors later and in the order of the writes, so this callback runs after them.
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

/** Wraps a function so that it returns `fallback` instead of throwing. */
function withoutThrowing<A extends unknown[], R>(
  run: (...args: A) => R,
  fallback: R,
): (...args: A) => R {
  return (...args) => {
    try {
      return run(...args);
    } catch {
      return fallback;
    }
  };
}
