/**
 * Returns the first line of what a `catch` block got. It never throws, although anything can be
 * thrown: an object without a prototype has no text, and a getter may throw by itself.
 */
export function thrownText(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? thrown.message : thrown;
    return String(text).split("\n", 1).join() || "unknown error";
  } catch {
    return "unknown error";
  }
}
