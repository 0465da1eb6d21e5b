/** The middle of the values, or of its two neighbours; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

/** The ratios of samples that belong together. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.map((numerator, index) => numerator / denominators[index]!);
}

/** The same elements, from another one on: it takes turns who begins. */
export function rotated<T>(elements: readonly T[], by: number): T[] {
  const start = by % elements.length;
  return [...elements.slice(start), ...elements.slice(0, start)];
}
