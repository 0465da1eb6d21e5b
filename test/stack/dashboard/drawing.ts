import { readCells, readLines } from "./panel-data.ts";
import type { Cell, Query, Times } from "./panel-data.ts";
import type { Heatmap, Panel, Timeseries } from "./panels.ts";
import { format, ticks } from "./units.ts";
import type { Unit } from "./units.ts";

/** A panel in pixels, ready to be drawn. */
export interface Drawing {
  readonly title: string;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Shown instead of a graph without data. A row's title has neither. */
  readonly message?: string;
  readonly graph?: Graph;
}

/** Lines or cells over an axis whose range goes from its first tick to its last one. */
export interface Graph {
  readonly seconds: readonly number[];
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  readonly lines: readonly {
    readonly legend: string;
    readonly colour: string;
    readonly width: number;
    readonly opacity: number;
    readonly values: readonly (number | null)[];
  }[];
  readonly cells: readonly {
    readonly time: number;
    readonly low: number;
    readonly high: number;
    readonly colour: string;
  }[];
}

/** The width of a dashboard, and the sizes of Grafana's grid. */
export const WIDTH = 1320;
const COLUMNS = 24;
const CELL_HEIGHT = 30;
const GAP = 8;

/** Grafana's palette for the light theme, as far as lines get colours of their own. */
const PALETTE =
  "56A64B E0B400 3274D9 FF780A E02F44 A352CC 19730E CC9D00 1250B0 E55400 AD0317 7C2EA3 96D98D FFEE52 8AB8FF FFB357 FF7383 CA95E5 447EBC C15C17 890F02 0A437C 6D1F62 584477"
    .split(" ");

/** The scheme Oranges of d3-scale-chromatic, which Grafana uses. */
const ORANGES = "fff5eb fee6ce fdd0a2 fdae6b fd8d3c f16913 d94801 a63603 7f2704".split(" ");

/** Runs the queries of panels and returns what is drawn. */
export function draw(
  panels: readonly Panel[],
  query: Query,
  times: Times,
): Promise<Drawing[]> {
  return Promise.all(panels.map(async (panel) => ({
    ...placed(panel),
    ...(panel.type === "timeseries"
      ? await graphOf(panel, query, times)
      : panel.type === "heatmap"
      ? await heatmapOf(panel, query, times)
      : {}),
  })));
}

function placed({ title, gridPos: { x, y, w, h } }: Panel): Drawing {
  const column = (WIDTH + GAP) / COLUMNS;
  const row = CELL_HEIGHT + GAP;
  const [left, top, width, height] = [x * column, y * row, w * column - GAP, h * row - GAP];
  return { title, left, top, width, height };
}

async function graphOf(
  panel: Timeseries,
  query: Query,
  times: Times,
): Promise<Pick<Drawing, "message" | "graph">> {
  const { unit, max, noValue = "No data", custom } = panel.fieldConfig.defaults;
  const lines = await readLines(panel, query, times);
  if (lines.length === 0) return { message: noValue };
  const highest = lines.flatMap(({ values }) => values).reduce<number>(
    (before, value) => Math.max(before, value ?? 0),
    0,
  );
  return {
    graph: {
      seconds: secondsOf(times),
      ticks: ticks(unit, max ?? highest).map((at) => ({ at, label: format(unit, at) })),
      lines: lines.map((line, index) => ({
        ...line,
        colour: `#${PALETTE[index % PALETTE.length]}`,
        width: custom.lineWidth,
        opacity: custom.fillOpacity / 100,
      })),
      cells: [],
    },
  };
}

async function heatmapOf(
  panel: Heatmap,
  query: Query,
  times: Times,
): Promise<Pick<Drawing, "message" | "graph">> {
  const all = await readCells(panel, query, times);
  const { color, filterValues, yAxis } = panel.options;
  const cells = all.filter(({ value }) => value > filterValues.le);
  if (cells.length === 0) return { message: panel.fieldConfig.defaults.noValue ?? "No data" };
  const [target] = panel.targets;
  const axis = "format" in target ? rows(yAxis.unit, all) : powers(yAxis.unit, cells);
  const max = Math.max(...cells.map(({ value }) => value));
  return {
    graph: {
      seconds: secondsOf(times),
      ticks: axis.ticks,
      lines: [],
      cells: cells.map(({ time, low, high, value }) => ({
        time,
        low: axis.place(low),
        high: axis.place(high),
        colour: colourOf((value / max) ** color.exponent),
      })),
    },
  };
}

interface Axis {
  readonly ticks: Graph["ticks"];
  /** Returns the place of a bound. */
  place(bound: number): number;
}

/** An axis with a row for each bucket of a classic histogram, also where nothing is. */
function rows(unit: Unit, cells: readonly Cell[]): Axis {
  const bounds = [...new Set(cells.flatMap(({ low, high }) => [low, high]))].sort((a, b) => a - b);
  return {
    ticks: bounds.map((bound, at) => ({
      at,
      label: bound === Infinity ? "+Inf" : bound === -Infinity ? "" : format(unit, bound),
    })),
    place: (bound) => bounds.indexOf(bound),
  };
}

/** A logarithmic axis. A native histogram has its own bounds in each cell. */
function powers(unit: Unit, cells: readonly Cell[]): Axis {
  const lows = cells.filter(({ low }) => low > 0).map(({ low }) => low);
  const bottom = Math.floor(Math.log2(Math.min(...lows)));
  const top = Math.ceil(Math.log2(Math.max(...cells.map(({ high }) => high))));
  const step = Math.ceil((top - bottom) / 8);
  const count = Math.ceil((top - bottom) / step);
  return {
    ticks: Array.from({ length: count + 1 }, (_, index) => {
      const at = bottom + index * step;
      return { at, label: format(unit, 2 ** at) };
    }),
    // The bucket of zero has no lower bound on such an axis.
    place: (bound) => bound > 0 ? Math.log2(bound) : bottom,
  };
}

/** Returns the colour of a share of the highest value. */
function colourOf(share: number): string {
  const place = share * (ORANGES.length - 1);
  const index = Math.min(Math.floor(place), ORANGES.length - 2);
  const channels = [0, 2, 4].map((at) => {
    const [from, to] = [index, index + 1].map((each) =>
      parseInt(ORANGES[each]!.slice(at, at + 2), 16)
    );
    return Math.round(from! + (to! - from!) * (place - index));
  });
  return `rgb(${channels.join(", ")})`;
}

function secondsOf({ start, end, step }: Times): number[] {
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step);
}
