// Makes what a page of metrics shows and what Prometheus has stored of it comparable.

import type { Sample } from "./running-stack.ts";

/**
 * Makes series that were pushed and series of a page comparable. A bound of `1e-05` is `0.00001` when
 * it is pushed. Values are rounded, because each exporter of a process adds up its seconds separately.
 */
export function normalized(series: readonly Value[]): Value[] {
  return series.map(([name, value]): Value => [
    name.replace(/(?<="le",")[\d.e+-]+/, (bound) => `${Number(bound)}`),
    Number(value.toPrecision(12)),
  ]).sort(byName);
}

function isGrpc(name: string): boolean {
  return name.startsWith("grpc_");
}

/** A series and its value. */
export type Value = readonly [series: string, value: number];

/** Returns the gRPC series of a query's result, sorted and without the labels of their process. */
export function storedSeries(samples: readonly Sample[]): Value[] {
  return samples.filter(({ metric }) => isGrpc(metric["__name__"]!))
    .map(({ metric, value }): Value => [seriesOf(metric), Number(value[1])])
    .sort(byName);
}

/** Returns the gRPC series that an OpenMetrics page shows, like {@link storedSeries}. */
export function shownSeries(page: string): Value[] {
  return page.split("\n").flatMap((line): Value[] => {
    const [, name = "", labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (!isGrpc(name)) return [];
    const pairs = labels.matchAll(/([a-z_]+)="([^"]*)"/g);
    const metric = Object.fromEntries([...pairs].map(([, label, text]) => [label, text!]));
    return [[seriesOf({ __name__: name, ...metric }), Number(value)]];
  }).sort(byName);
}

/** Returns a series' labels as text, without those that tell the process. */
function seriesOf({ job: _, instance: _instance, ...labels }: Record<string, string>): string {
  return JSON.stringify(Object.entries(labels).sort(byName));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
