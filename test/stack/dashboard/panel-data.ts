import type { RangeSeries } from "../running-prometheus.ts";
import type { Heatmap, Timeseries } from "./panels.ts";

/** The times at which Prometheus evaluates a query, in seconds. */
export interface Times {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Runs a range query. */
export type Query = (query: string, times: Times) => Promise<RangeSeries[]>;

/** A line of a graph. */
export interface Line {
  readonly legend: string;
  /** The value at each time, null without one. */
  readonly values: readonly (number | null)[];
}

/** The value of a bucket at one of the times. */
export interface Cell {
  /** The number of the time. */
  readonly time: number;
  /** The bounds of the bucket. */
  readonly low: number;
  readonly high: number;
  readonly value: number;
}

/** Returns the lines of a graph in the order of its queries. */
export async function readLines(panel: Timeseries, query: Query, times: Times): Promise<Line[]> {
  const lines = await Promise.all(panel.targets.map(async ({ expr, legendFormat }) => {
    const series = await query(expr, times);
    return series.map(({ metric, values = [] }) => ({
      legend: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ""),
      values: onGrid(values.map(([time, value]) => [time, Number(value)]), times),
    }));
  }));
  return lines.flat();
}

/** Returns the cells of a heatmap, empty buckets included. */
export async function readCells(panel: Heatmap, query: Query, times: Times): Promise<Cell[]> {
  const [{ expr, ...target }] = panel.targets;
  const series = await query(expr, times);
  return "format" in target ? cellsOfClassic(series, times) : cellsOfNative(series, times);
}

/** Each series counts what is below its bound, so a bucket is the difference of two series. */
function cellsOfClassic(series: readonly RangeSeries[], times: Times): Cell[] {
  const rows = series.map(({ metric, values = [] }) => ({
    le: Number(metric["le"]?.replace("+Inf", "Infinity")),
    values: onGrid(values.map(([time, value]) => [time, Number(value)]), times),
  })).sort((a, b) => a.le - b.le);
  return rows.flatMap(({ le, values }, row) =>
    values.map((value, time) => ({
      time,
      low: rows[row - 1]?.le ?? -Infinity,
      high: le,
      value: (value ?? 0) - (rows[row - 1]?.values[time] ?? 0),
    }))
  );
}

function cellsOfNative(series: readonly RangeSeries[], { start, step }: Times): Cell[] {
  return series.flatMap(({ histograms = [] }) =>
    histograms.flatMap(([at, { buckets = [] }]) =>
      buckets.map(([, low, high, value]) => ({
        time: Math.round((at - start) / step),
        low: Number(low),
        high: Number(high),
        value: Number(value),
      }))
    )
  );
}

function onGrid(
  values: readonly (readonly [time: number, value: number])[],
  { start, end, step }: Times,
): (number | null)[] {
  const grid = Array<number | null>(Math.floor((end - start) / step) + 1).fill(null);
  for (const [time, value] of values) {
    if (Number.isFinite(value)) grid[Math.round((time - start) / step)] = value;
  }
  return grid;
}
