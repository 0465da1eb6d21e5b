import { median } from "./figure.ts";
import { Pair } from "./pair.ts";
import type { PairCommands, PairWindow } from "./pair.ts";
import type { Settings } from "./settings.ts";

/** The performance of a pair, in all windows of a round or in a single window. */
export interface Sample {
  readonly callsPerSecond: number;
  readonly clientCpuUsPerCall: number;
  readonly serverCpuUsPerCall: number;
  /** The median of the windows' 99th percentiles, in milliseconds. */
  readonly p99Ms: number;
}

/**
 * Compares pairs. Each round starts and warms up all of them. Then they get short windows of load
 * in turn, in a rotating order (A B B A, or A B C B C A C A B), while the others are idle. If something
 * slows the machine down, suddenly or bit by bit, it therefore affects all pairs.
 *
 * @returns The samples of each pair. Samples with the same index belong together.
 */
export async function alternate<K extends string>(
  pairs: Readonly<Record<K, PairCommands>>,
  settings: Settings,
): Promise<Record<K, Sample[]>> {
  const names = Object.keys(pairs) as K[];
  const samples = record(names, (): Sample[] => []);
  for (let round = 0; round < settings.rounds; round++) {
    const windows = await alternateOnce(pairs, rotated(names, round), settings);
    for (const name of names) {
      const groups = settings.samplePerWindow ? windows[name].map((w) => [w]) : [windows[name]];
      samples[name].push(...groups.map(toSample));
    }
  }
  return samples;
}

async function alternateOnce<K extends string>(
  commands: Readonly<Record<K, PairCommands>>,
  names: readonly K[],
  { windows, windowMs, warmUpMs }: Settings,
): Promise<Record<K, PairWindow[]>> {
  const pairs = new Map<K, Pair>();
  await Promise.all(names.map(async (name) => pairs.set(name, await Pair.start(commands[name]))));
  for (const name of names) await pairs.get(name)!.window(warmUpMs);
  const results = record(names, (): PairWindow[] => []);
  for (let i = 0; i < windows; i++) {
    for (const name of rotated(names, i)) {
      results[name].push(await pairs.get(name)!.window(windowMs));
    }
  }
  await Promise.all([...pairs.values()].map((pair) => pair.stop()));
  return results;
}

function record<K extends string, V>(names: readonly K[], value: (name: K) => V) {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<K, V>;
}

function toSample(windows: readonly PairWindow[]): Sample {
  const sum = (of: (window: PairWindow) => number) =>
    windows.reduce((total, window) => total + of(window), 0);
  const calls = sum((window) => window.calls);
  return {
    callsPerSecond: calls / sum((window) => window.seconds),
    clientCpuUsPerCall: sum((window) => window.cpuUs) / calls,
    serverCpuUsPerCall: sum((window) => window.serverCpuUs) / calls,
    p99Ms: median(windows.map((window) => window.p99Ms)),
  };
}

/** Returns the CPU time per call of both sides, of each sample, in microseconds. */
export function cpuOfBothSides(samples: readonly Sample[]): number[] {
  return samples.map((sample) => sample.clientCpuUsPerCall + sample.serverCpuUsPerCall);
}

/** Returns the elements with another one first, which changes the order of turns. */
export function rotated<T>(elements: readonly T[], by: number): T[] {
  const start = by % elements.length;
  return [...elements.slice(start), ...elements.slice(0, start)];
}
