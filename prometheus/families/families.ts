/**
 * Groups collected OpenTelemetry metrics into Prometheus metric families: one for each name, with one
 * type and one help text.
 *
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 * @module
 */

import type { Attributes, HrTime } from "@opentelemetry/api";
import { DataPointType } from "@opentelemetry/sdk-metrics";
import type {
  ExponentialHistogram,
  Histogram,
  MetricData,
  ResourceMetrics,
  ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import { wellFormed } from "../../log/well-formed.ts";
import { compareText } from "./byte-order.ts";
import { type Label, LabelBuilder, type LabelSet, NotPrintableError } from "./labels.ts";
import type { InstrumentKind } from "./names.ts";
import type { ExpositionOptions } from "./options.ts";
import { ResourceLabels } from "./resource-labels.ts";
import type { StartTimes } from "./start-times.ts";
import { Translation } from "./translation.ts";
import { MetricWarnings } from "./warnings.ts";

/** The Prometheus types that OpenTelemetry metrics map to. */
export type FamilyType = "counter" | "gauge" | "histogram";

/** The value of one label set of a family. */
export interface LabelledValue {
  readonly labels: LabelSet;
  readonly value: number | Histogram | ExponentialHistogram;
  /** When the series started. Undefined if it is not known well enough to be shown. */
  readonly startTime?: HrTime | undefined;
}

/** All values of one name. */
export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  /**
   * Returns the values, sorted for printing. Yields from time to time, so that the caller can let
   * the event loop run.
   */
  values(): Generator<"", readonly LabelledValue[]>;
}

const SCOPE_LABELS = ["otel_scope_name", "otel_scope_schema_url", "otel_scope_version"];

/** How many values to process between two yields. A new label set costs a few microseconds. */
const BATCH = 50;

/** Creates a family of a few values that are known already. */
export function fixedFamily(
  family: Omit<Family, "values">,
  values: readonly LabelledValue[],
): Family {
  return {
    ...family,
    values: function* () {
      yield "";
      return values;
    },
  };
}

/** One metric of one scope, with the scope's labels. */
interface Source {
  readonly metric: MetricData;
  readonly labels: LabelBuilder;
}

/** A family to which metrics are still added. */
interface Draft extends Omit<Family, "values"> {
  readonly sources: Source[];
}

/** The parts of a collection that are printed. */
export interface Collected extends Pick<ResourceMetrics, "scopeMetrics"> {
  readonly resource: Pick<ResourceMetrics["resource"], "attributes">;
}

/**
 * Groups collections into families. The first type and help text of a name hold for the catalog's
 * lifetime, so that two instruments of one name do not alternate. The catalog warns once about each
 * metric that it leaves out.
 */
export class FamilyCatalog {
  readonly #known = new Map<string, { readonly type: FamilyType; readonly help: string }>();
  /** The warnings about metrics, each of which is given once. */
  readonly warnings: MetricWarnings = new MetricWarnings();
  readonly #startTimes: StartTimes | undefined;
  readonly #translation: Translation;
  readonly #target: LabelBuilder | undefined;
  readonly #hasScopes: boolean;
  readonly #resourceLabels: ResourceLabels | undefined;
  /** The labels of the resource that the builders add. */
  #constant: readonly Label[] = [];
  #builders = new WeakMap<ScopeMetrics["scope"], LabelBuilder>();

  /**
   * @param startTimes decides which series show when they started; omitted for none
   * @throws {RangeError} if an option is invalid
   */
  constructor(startTimes?: StartTimes, options: ExpositionOptions = {}) {
    this.#startTimes = startTimes;
    const translation = this.#translation = new Translation(options);
    if (!options.withoutTargetInfo) this.#target = new LabelBuilder([], translation);
    this.#hasScopes = !options.withoutScopeInfo;
    const pattern = options.withResourceConstantLabels;
    if (pattern === undefined) return;
    const reserved = new Set(["le", ...(this.#hasScopes ? SCOPE_LABELS : [])]);
    this.#resourceLabels = new ResourceLabels(pattern, translation, reserved, this.warnings);
  }

  /** Whether names may have characters that need quotes or escaping. */
  get utf8(): boolean {
    return this.#translation.utf8;
  }

  /**
   * Groups one collection.
   *
   * @param collected the result of a metric reader, with cumulative temporality
   * @param others further families; metrics of the same names are left out
   * @returns the families of the collection, `target_info` and the others, ordered by name
   */
  families({ resource, scopeMetrics }: Collected, others: readonly Family[] = []): Family[] {
    const target = this.#targetInfo(resource.attributes);
    const reserved = new Map([...target, ...others].map((family) => [family.name, family]));
    const drafts = new Map<string, Draft>();
    const constant = this.#resourceLabels?.of(resource.attributes);
    if (constant !== undefined && constant !== this.#constant) {
      this.#constant = constant;
      this.#builders = new WeakMap();
    }
    for (const { scope, metrics } of scopeMetrics) {
      const labels = this.#builder(scope);
      for (const metric of metrics) this.#place({ metric, labels }, reserved, drafts);
    }
    const own = [...drafts.values()].map(({ name, type, help, sources }) => ({
      name,
      type,
      help,
      values: () => this.#values(name, sources),
    }));
    const all = [...reserved.values(), ...own];
    if (this.utf8) return all.sort((a, b) => compareText(a.name, b.name));
    return all.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #place(source: Source, reserved: ReadonlyMap<string, Family>, drafts: Map<string, Draft>): void {
    const { descriptor } = source.metric;
    const kind = instrumentKind(source.metric);
    const name = this.#translation.metricName(descriptor.name, descriptor.unit, kind);
    if (name === undefined) return this.#leaveOut(descriptor.name, "it has no valid name");
    if (reserved.has(name)) return this.#leaveOut(name, "the name is reserved");
    const type = kind === "upDownCounter" ? "gauge" : kind;
    const help = wellFormed(descriptor.description);
    const first = this.#known.get(name) ?? { type, help };
    this.#known.set(name, first);
    if (first.type !== type) {
      return this.#leaveOut(name, `it is a ${type}, but the name belongs to a ${first.type}`);
    }
    if (first.help !== help) {
      this.warnings.once(`The metric ${name} has several descriptions; the first one is shown`);
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
    const values = this.#hasScopes ? [scope.name, scope.schemaUrl, scope.version] : [];
    const labels = values.map((value, i): Label => [SCOPE_LABELS[i]!, value ?? ""]);
    const builder = new LabelBuilder([...labels, ...this.#constant], this.#translation);
    this.#builders.set(scope, builder);
    return builder;
  }

  *#values(name: string, sources: readonly Source[]): Generator<"", readonly LabelledValue[]> {
    const values = new Map<string, LabelledValue>();
    for (const { metric, labels } of sources) {
      for (const [index, point] of metric.dataPoints.entries()) {
        if (index % BATCH === 0) yield "";
        try {
          const { value } = point;
          if (typeof value !== "number" && Object.hasOwn(point.attributes, "le")) {
            throw new NotPrintableError('a histogram has its own label "le"');
          }
          if (typeof value !== "number" && "scale" in value && value.scale < COARSEST_SCALE) {
            throw new NotPrintableError(`their scale is ${value.scale}`);
          }
          const built = labels.build(point.attributes);
          if (values.has(built.sortKey)) throw new NotPrintableError("their labels are not unique");
          const startTime = this.#startTimes?.of(name, built, point, metric.descriptor);
          values.set(built.sortKey, { labels: built, value, startTime });
        } catch (error) {
          if (!(error instanceof NotPrintableError)) throw error;
          this.#leaveOut(`${name} of some attributes`, error.message);
        }
      }
    }
    yield "";
    // A comparison function would be slow in a process's first scrape.
    const sorted = [...values.keys()].sort();
    yield "";
    return sorted.map((key) => values.get(key) as LabelledValue);
  }

  /** Returns the resource as `target_info`, or nothing if the resource is invalid. */
  #targetInfo(attributes: Attributes): Family[] {
    if (this.#target === undefined) return [];
    try {
      const values = [{ labels: this.#target.build(attributes), value: 1 }];
      const family = { name: "target_info", type: "gauge", help: "Target metadata" } as const;
      return [fixedFamily(family, values)];
    } catch (error) {
      if (!(error instanceof NotPrintableError)) throw error;
      this.#leaveOut("target_info", error.message);
      return [];
    }
  }

  #leaveOut(what: string, reason: string): void {
    this.warnings.leftOut(what, reason);
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

/** The smallest scale of Prometheus' native histograms. client_golang refuses coarser ones. */
const COARSEST_SCALE = -4;

/** Finds a family with sample names that a family of this name and type would have too. */
export function suffixRival(
  name: string,
  type: FamilyType,
  families: ReadonlyMap<string, Pick<Family, "type">>,
): string | undefined {
  const base = name.replace(/_(?:count|sum|bucket)$/, "");
  if (base !== name && families.get(base)?.type === "histogram") return base;
  if (type !== "histogram") return undefined;
  return ["_count", "_sum", "_bucket"].map((suffix) => name + suffix).find((n) => families.has(n));
}
