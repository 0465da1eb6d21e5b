import { readFileSync } from "node:fs";
import { z } from "zod";
import { UNITS } from "./units.ts";

// Each schema has exactly what the picture shows, so that a dashboard cannot use anything that the
// picture leaves out.

const datasource = z.strictObject({ type: z.literal("prometheus"), uid: z.string() });
const frame = {
  id: z.number(),
  title: z.string(),
  gridPos: z.strictObject({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
};
const panel = { ...frame, datasource, description: z.string() };
const target = {
  datasource,
  refId: z.string(),
  expr: z.string(),
  range: z.literal(true),
  instant: z.literal(false),
};
/** Text with names of labels, for example `{{grpc_method}} p50`. */
const legendFormat = z.string().regex(/^[^{}]*(\{\{\w+\}\}[^{}]*)+$/);

const row = z.strictObject({
  ...frame,
  type: z.literal("row"),
  collapsed: z.literal(false),
  panels: z.tuple([]),
});

const timeseries = z.strictObject({
  ...panel,
  type: z.literal("timeseries"),
  fieldConfig: z.strictObject({
    defaults: z.strictObject({
      unit: z.enum(UNITS),
      min: z.literal(0),
      max: z.number().optional(),
      noValue: z.string().optional(),
      custom: z.strictObject({
        drawStyle: z.literal("line"),
        lineWidth: z.number(),
        fillOpacity: z.number(),
        showPoints: z.literal("never"),
        spanNulls: z.literal(false),
      }),
    }),
    overrides: z.tuple([]),
  }),
  options: z.strictObject({
    legend: z.strictObject({
      displayMode: z.literal("list"),
      placement: z.literal("bottom"),
      showLegend: z.literal(true),
      calcs: z.tuple([]),
    }),
    tooltip: z.strictObject({ mode: z.literal("multi"), sort: z.literal("desc") }),
  }),
  targets: z.array(z.strictObject({ ...target, legendFormat })).min(1),
});

const heatmap = z.strictObject({
  ...panel,
  type: z.literal("heatmap"),
  fieldConfig: z.strictObject({
    defaults: z.strictObject({ noValue: z.string().optional() }),
    overrides: z.tuple([]),
  }),
  options: z.strictObject({
    calculate: z.literal(false),
    cellGap: z.literal(1),
    cellValues: z.strictObject({ unit: z.enum(UNITS) }),
    color: z.strictObject({
      mode: z.literal("scheme"),
      scheme: z.literal("Oranges"),
      fill: z.string(),
      scale: z.literal("exponential"),
      exponent: z.number(),
      steps: z.number(),
      reverse: z.literal(false),
    }),
    exemplars: z.strictObject({ color: z.string() }),
    filterValues: z.strictObject({ le: z.number() }),
    legend: z.strictObject({ show: z.literal(true) }),
    rowsFrame: z.strictObject({ layout: z.literal("auto") }),
    tooltip: z.strictObject({
      mode: z.literal("single"),
      showColorScale: z.literal(false),
      yHistogram: z.literal(false),
    }),
    yAxis: z.strictObject({
      axisPlacement: z.literal("left"),
      reverse: z.literal(false),
      unit: z.enum(UNITS),
    }),
  }),
  // Classic histograms have a series for each bucket, which the format puts together.
  targets: z.tuple([
    z.union([
      z.strictObject({
        ...target,
        legendFormat: z.literal("{{le}}"),
        format: z.literal("heatmap"),
      }),
      z.strictObject({ ...target, legendFormat: z.literal("") }),
    ]),
  ]),
});

const dashboard = z.looseObject({
  time: z.strictObject({ from: z.string().regex(/^now-\d+m$/), to: z.literal("now") }),
  templating: z.strictObject({
    list: z.array(z.looseObject({ name: z.string(), allValue: z.string().optional() })),
  }),
  panels: z.array(z.discriminatedUnion("type", [row, timeseries, heatmap])),
});

/** A row's title, a graph or a heatmap. */
export type Panel = z.infer<typeof dashboard>["panels"][number];
export type Timeseries = z.infer<typeof timeseries>;
export type Heatmap = z.infer<typeof heatmap>;

/** A dashboard as it opens, with each variable set to All. */
export interface Dashboard {
  /** The default time range in seconds. */
  readonly seconds: number;
  readonly panels: readonly Panel[];
}

/**
 * Reads a dashboard of `stack/dashboards`.
 *
 * @throws {z.ZodError} if it has anything that the picture does not show
 */
export function readDashboard(name: string): Dashboard {
  const file = new URL(`../../../stack/dashboards/${name}.json`, import.meta.url);
  const { time, templating, panels } = dashboard.parse(JSON.parse(readFileSync(file, "utf8")));
  const all = templating.list.flatMap(({ name, allValue }) =>
    allValue === undefined ? [] : [[name, allValue] as const]
  );
  for (const each of panels) {
    if (each.type === "row") continue;
    for (const target of each.targets) target.expr = withAll(target.expr, all);
  }
  return { seconds: Number(/\d+/.exec(time.from)) * 60, panels };
}

/** Replaces variables in a query, like Grafana when a data source is scraped every 15 s. */
function withAll(query: string, all: readonly (readonly [name: string, value: string])[]): string {
  const text = all.reduce(
    (before, [name, value]) => before.replaceAll(`$${name}`, () => value),
    query.replaceAll("$__rate_interval", "1m"),
  );
  const [left] = /\$\w+/.exec(text) ?? [];
  if (left !== undefined) throw new Error(`${left} is no variable of the dashboard: ${query}`);
  return text;
}
