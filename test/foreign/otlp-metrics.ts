import type { Attributes } from "@opentelemetry/api";
import type { ExportRequest } from "../scripts/recording-receiver.ts";
import type { Metric } from "../support/series.ts";

/** The parts of an OTLP export in JSON that tests read. */
interface Export {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string };
      readonly metrics: readonly OtlpMetric[];
    }[];
  }[];
}

interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly sum?: { readonly dataPoints: readonly OtlpPoint[] };
  readonly histogram?: { readonly dataPoints: readonly OtlpPoint[] };
}

interface OtlpPoint {
  readonly attributes: readonly { readonly key: string; readonly value: OtlpValue }[];
  readonly asInt?: string | number;
  readonly asDouble?: number;
  readonly count?: string | number;
  readonly sum?: number;
}

interface OtlpValue {
  readonly stringValue?: string;
}

/**
 * Returns the metrics of the plugin that were last exported, over OTLP with JSON.
 *
 * @param requests The exports of one process, with cumulative values.
 */
export function exportedMetrics(requests: readonly ExportRequest[]): Metric[] {
  const last = requests.findLast(({ path }) => path === "/v1/metrics");
  if (last === undefined) return [];
  const { resourceMetrics }: Export = JSON.parse(last.body.toString());
  return resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)
    .filter(({ scope }) => scope.name === "grpc-js")
    .flatMap(({ metrics }) => metrics.map(metricOf));
}

function metricOf({ name, unit, description, sum, histogram }: OtlpMetric): Metric {
  const points = (sum ?? histogram)?.dataPoints ?? [];
  return {
    descriptor: { name, unit, description },
    dataPoints: points.map((point) => ({
      attributes: attributesOf(point),
      value: point.count === undefined
        ? Number(point.asInt ?? point.asDouble)
        : { count: Number(point.count), sum: point.sum },
    })),
  };
}

function attributesOf({ attributes }: OtlpPoint): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}
