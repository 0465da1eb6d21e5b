/**
 * Metric families: collected OpenTelemetry data grouped as Prometheus sees it, one family for each
 * name, with one type and one help text.
 *
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 * @module
 */

import type { Attributes } from "@opentelemetry/api";
import { DataPointType } from "@opentelemetry/sdk-metrics";
import type {
  ExponentialHistogram,
  Histogram,
  MetricData,
  ResourceMetrics,
  ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import { oneLine } from "../../log/thrown-text.ts";
import { LabelBuilder, type LabelSet, NotPrintableError } from "./labels.ts";
import { log } from "../log.ts";
import { type InstrumentKind, metricName } from "./names.ts";

/** The types that OpenTelemetry data can have in Prometheus. */
export type FamilyType = "counter" | "gauge" | "histogram";

/** One label set of a family. An exponential histogram has a {@linkcode Histogram} without bounds. */
export interface Series {
  readonly labels: LabelSet;
  readonly value: number | Histogram;
}

/** All series of one name. */
export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  /**
   * Makes the series, in the order they are printed in. It yields now and then: a place to let the
   * event loop go on.
   */
  series(): Generator<"", readonly Series[]>;
}

/** Series to make between two pauses; label sets that are new cost some microseconds each. */
const BATCH = 50;

/** A family that is made of a few known series. */
export function smallFamily(family: Omit<Family, "series">, series: readonly Series[]): Family {
  return {
    ...family,
    series: function* () {
      yield "";
      return series;
    },
  };
}

/** Names may be made of what others send: neither memory nor the log grows with them. */
const MOST_WARNINGS = 100;

/** One metric of one scope that goes into a family. */
interface Source {
  readonly metric: MetricData;
  readonly labels: LabelBuilder;
}

/** A family that is being put together. */
interface Draft extends Omit<Family, "series"> {
  readonly sources: Source[];
}

/**
 * Groups collections into families. It remembers, for as long as it lives, which type and help text
 * a name had first, so that two instruments of one name don't take turns, and it warns once of
 * everything that is left out.
 */
export class FamilyCatalog {
  readonly #known = new Map<string, { readonly type: FamilyType; readonly help: string }>();
  readonly #warned = new Set<string>();
  readonly #target = new LabelBuilder([]);
  readonly #builders = new WeakMap<ScopeMetrics["scope"], LabelBuilder>();

  /**
   * @param collected one collection of a metric reader, cumulative
   * @param others families that aren't OpenTelemetry data; metrics of the same name are left out
   * @returns the families of the collection, `target_info` and the others, ordered by name
   */
  families({ resource, scopeMetrics }: ResourceMetrics, others: readonly Family[] = []): Family[] {
    const target = this.#targetInfo(resource.attributes);
    const reserved = new Map([...target, ...others].map((family) => [family.name, family]));
    const drafts = new Map<string, Draft>();
    for (const { scope, metrics } of scopeMetrics) {
      const labels = this.#builder(scope);
      for (const metric of metrics) this.#place({ metric, labels }, reserved, drafts);
    }
    const own = [...drafts.values()].map(({ name, type, help, sources }) => ({
      name,
      type,
      help,
      series: () => this.#series(name, sources),
    }));
    return [...reserved.values(), ...own].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #place(source: Source, reserved: ReadonlyMap<string, Family>, drafts: Map<string, Draft>): void {
    const { descriptor } = source.metric;
    const kind = instrumentKind(source.metric);
    const name = metricName(descriptor.name, descriptor.unit, kind);
    if (name === undefined) return this.#leaveOut(descriptor.name, "it has no valid name");
    if (reserved.has(name)) return this.#leaveOut(name, "the name is taken");
    const type = kind === "upDownCounter" ? "gauge" : kind;
    const first = this.#known.get(name) ?? { type, help: descriptor.description };
    this.#known.set(name, first);
    if (first.type !== type) return this.#leaveOut(name, `it is a ${first.type}, not a ${type}`);
    if (first.help !== descriptor.description) {
      this.#once(`The metric ${name} has several descriptions; the first one is shown`);
    }
    const draft = drafts.get(name);
    if (draft !== undefined) {
      draft.sources.push(source);
      return;
    }
    const rival = suffixRival(name, type, drafts);
    if (rival !== undefined) return this.#leaveOut(name, `it collides with ${rival}`);
    drafts.set(name, { name, ...first, sources: [source] });
  }

  #builder(scope: ScopeMetrics["scope"]): LabelBuilder {
    const known = this.#builders.get(scope);
    if (known !== undefined) return known;
    const builder = new LabelBuilder([
      ["otel_scope_name", scope.name],
      ["otel_scope_schema_url", scope.schemaUrl ?? ""],
      ["otel_scope_version", scope.version ?? ""],
    ]);
    this.#builders.set(scope, builder);
    return builder;
  }

  *#series(name: string, sources: readonly Source[]): Generator<"", readonly Series[]> {
    const series = new Map<string, Series>();
    for (const { metric, labels } of sources) {
      for (const [index, point] of metric.dataPoints.entries()) {
        if (index % BATCH === 0) yield "";
        try {
          const value = plainValue(point.value);
          if (typeof value !== "number" && Object.hasOwn(point.attributes, "le")) {
            throw new NotPrintableError('a histogram has its own label "le"');
          }
          const built = labels.build(point.attributes);
          if (series.has(built.sortKey)) throw new NotPrintableError("their labels occur twice");
          series.set(built.sortKey, { labels: built, value });
        } catch (error) {
          if (!(error instanceof NotPrintableError)) throw error;
          this.#leaveOut(`${name} of some attributes`, error.message);
        }
      }
    }
    yield "";
    // Without a function to compare with: that one would be slow in the first scrape of a process.
    const sorted = [...series.keys()].sort();
    yield "";
    return sorted.map((key) => series.get(key) as Series);
  }

  /** The resource as a metric. An empty resource has one too; an invalid one has none. */
  #targetInfo(attributes: Attributes): Family[] {
    try {
      const series = [{ labels: this.#target.build(attributes), value: 1 }];
      const family = { name: "target_info", type: "gauge", help: "Target metadata" } as const;
      return [smallFamily(family, series)];
    } catch (error) {
      if (!(error instanceof NotPrintableError)) throw error;
      this.#leaveOut("target_info", error.message);
      return [];
    }
  }

  #leaveOut(what: string, reason: string): void {
    this.#once(`Prometheus can't have the metric ${what}, it is left out: ${reason}`);
  }

  #once(warning: string): void {
    if (this.#warned.size >= MOST_WARNINGS || this.#warned.has(warning)) return;
    this.#warned.add(warning);
    log.warn(oneLine(warning));
    if (this.#warned.size === MOST_WARNINGS) {
      log.warn(`Prometheus can't have further metrics; ${MOST_WARNINGS} warnings were given`);
    }
  }
}

function instrumentKind(metric: MetricData): InstrumentKind {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return metric.isMonotonic ? "counter" : "upDownCounter";
    case DataPointType.GAUGE:
      return "gauge";
    default:
      return "histogram";
  }
}

/** Prometheus' native histograms begin at this scale; client_golang refuses coarser ones. */
const COARSEST_SCALE = -4;

/** The text formats have no native histograms: of an exponential one they show sum and count. */
function plainValue(value: number | Histogram | ExponentialHistogram): number | Histogram {
  if (typeof value === "number" || "buckets" in value) return value;
  if (value.scale < COARSEST_SCALE) throw new NotPrintableError(`its scale is ${value.scale}`);
  const { count, sum } = value;
  const buckets = { boundaries: [], counts: [] };
  return sum === undefined ? { buckets, count } : { buckets, count, sum };
}

/** A family whose sample lines would be taken for this one's, or the other way round. */
function suffixRival(
  name: string,
  type: FamilyType,
  families: ReadonlyMap<string, Pick<Family, "type">>,
): string | undefined {
  const base = name.replace(/_(?:count|sum|bucket)$/, "");
  if (base !== name && families.get(base)?.type === "histogram") return base;
  if (type !== "histogram") return undefined;
  return ["_count", "_sum", "_bucket"].map((suffix) => name + suffix).find((n) => families.has(n));
}
