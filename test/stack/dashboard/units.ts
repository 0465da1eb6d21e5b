/**
 * How Grafana writes values of a unit: the factor from which on a suffix is used, and the suffix.
 * Compared with `getValueFormat` of `@grafana/data` 13, which is too large to depend on.
 */
const SUFFIXES = {
  s: [[1e-9, " ns"], [1e-6, " µs"], [1e-3, " ms"], [1, " s"], [60, " mins"], [3600, " hours"]],
  percentunit: [[0.01, "%"]],
  short: [[1, ""], [1e3, " K"], [1e6, " Mil"]],
  reqps: [[1, " req/s"], [1e3, "K req/s"], [1e6, "M req/s"]],
  ops: [[1, " ops/s"], [1e3, "K ops/s"], [1e6, "M ops/s"]],
  opm: [[1, " ops/m"], [1e3, "K ops/m"], [1e6, "M ops/m"]],
  cps: [[1, " c/s"], [1e3, "K c/s"], [1e6, "M c/s"]],
  Bps: [[1, " B/s"], [1e3, " kB/s"], [1e6, " MB/s"], [1e9, " GB/s"]],
  bytes: [[1, " B"], [1024, " KiB"], [1024 ** 2, " MiB"], [1024 ** 3, " GiB"]],
} as const satisfies Record<string, readonly (readonly [factor: number, suffix: string])[]>;

/** A unit by Grafana's name. */
export type Unit = keyof typeof SUFFIXES;

/** The units that can be drawn. */
export const UNITS = Object.keys(SUFFIXES) as Unit[];

/** Writes a value with three digits, for example `1.5 ms`. */
export function format(unit: Unit, value: number): string {
  const [factor, suffix] = suffixOf(unit, value);
  return `${Number((value / factor).toPrecision(3))}${suffix}`;
}

/**
 * Returns about five round values from 0 up to one that is not below the maximum.
 *
 * @param max The highest value that is drawn, not below 0.
 */
export function ticks(unit: Unit, max: number): number[] {
  const highest = max > 0 ? max : 1;
  const [factor] = suffixOf(unit, highest);
  const rough = highest / factor / 5;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const digit = [1, 2, 5, 10].find((each) => each * magnitude >= rough * (1 - 1e-9))!;
  const step = digit * magnitude * factor;
  const count = Math.ceil(highest / step * (1 - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

function suffixOf(unit: Unit, value: number): readonly [factor: number, suffix: string] {
  const suffixes: readonly (readonly [number, string])[] = SUFFIXES[unit];
  const fitting = suffixes.findLast(([factor]) => Math.abs(value) >= factor * (1 - 1e-9));
  return fitting ?? suffixes.find(([factor]) => value !== 0 || factor === 1) ?? suffixes[0]!;
}
