/**
 * The two text formats: 0.0.4 and OpenMetrics 1.0, byte for byte as client_golang writes them.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 * @module
 */

import type { CollectionResult, Histogram } from "@opentelemetry/sdk-metrics";
import { type Family, FamilyCatalog } from "./families.ts";
import { escapeHelp, escapeLabelValue } from "./labels.ts";
import { formatFloat, formatOpenMetricsFloat } from "./numbers.ts";

/** What the two formats do differently. */
export interface TextFormat {
  /** The name and the type in the HELP and TYPE lines. */
  metadata(family: Family): { readonly name: string; readonly type: string };
  escapeHelp(help: string): string;
  /** A sample's value, or a bucket's bound. */
  float(value: number): string;
  /** A number of observations. */
  count(value: number): string;
  /** What stands after the last family. */
  readonly end: string;
}

/** Prometheus text format 0.0.4. */
export const PROMETHEUS_TEXT: TextFormat = {
  metadata: (family) => family,
  escapeHelp,
  float: formatFloat,
  count: formatFloat,
  end: "",
};

/** OpenMetrics 1.0 (and 0.0.1, which client_golang writes in the same way). */
export const OPEN_METRICS: TextFormat = {
  metadata({ name, type }) {
    if (type !== "counter") return { name, type };
    // A counter has to end in _total; one that is called just "total" can't be shown as a counter.
    if (!name.endsWith("_total")) return { name, type: "unknown" };
    return { name: name.slice(0, -"_total".length), type };
  },
  escapeHelp: escapeLabelValue,
  float: formatOpenMetricsFloat,
  count: String,
  end: "# EOF\n",
};

/**
 * Characters after which a slice is handed over: about 400 lines, some tenths of a millisecond. Much
 * smaller ones would cost more in streams and turns of the event loop than in making text.
 */
const SLICE_LENGTH = 65_536;

/**
 * Writes families in slices of about 64 KiB, so that a caller can let the event loop go on in
 * between; some are empty. The families are one snapshot: what is recorded meanwhile doesn't show.
 *
 * @param families in the order they are to be printed in
 */
export function* renderSlices(families: Iterable<Family>, format: TextFormat): Generator<string> {
  let text = "";
  for (const family of families) {
    const lines = new LineWriter(family.name, format);
    const { name, type } = format.metadata(family);
    let header = `# HELP ${name} ${format.escapeHelp(family.help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of yield* family.series()) {
      text += header;
      text += typeof value === "number"
        ? lines.sample(labels.text, value)
        : lines.histogram(labels.text, value);
      header = "";
      if (text.length < SLICE_LENGTH) continue;
      yield text;
      text = "";
    }
  }
  yield text + format.end;
}

/** Writes the sample lines of one family. */
class LineWriter {
  readonly #name: string;
  readonly #format: TextFormat;
  /** The `le` labels of a metric's bounds: every series of a metric has the same array. */
  readonly #bounds = new Map<number[], string[]>();

  constructor(name: string, format: TextFormat) {
    this.#name = name;
    this.#format = format;
  }

  // Exemplars of OpenMetrics would end these lines. The JavaScript SDK (3.1) collects none.

  sample(labels: string, value: number): string {
    const inBraces = labels === "" ? "" : `{${labels}}`;
    return `${this.#name}${inBraces} ${this.#format.float(value)}\n`;
  }

  histogram(labels: string, { buckets, count, sum }: Histogram): string {
    const { boundaries, counts } = buckets;
    const start = `${this.#name}_bucket{${labels},`;
    const bounds = this.#boundLabels(boundaries);
    const format = this.#format;
    let text = "";
    let cumulative = 0;
    for (let i = 0; i < bounds.length; i++) {
      cumulative += counts[i] as number;
      text += start + bounds[i] + format.count(cumulative) + "\n";
    }
    const total = format.count(count);
    return `${text}${start}le="+Inf"} ${total}\n` +
      // A histogram of values that may be negative has no sum in the SDK; Go prints 0.
      `${this.#name}_sum{${labels}} ${format.float(sum ?? 0)}\n` +
      `${this.#name}_count{${labels}} ${total}\n`;
  }

  #boundLabels(boundaries: number[]): string[] {
    const known = this.#bounds.get(boundaries);
    if (known !== undefined) return known;
    const labels = boundaries.map((bound) => `le="${this.#format.float(bound)}"} `);
    this.#bounds.set(boundaries, labels);
    return labels;
  }
}

/**
 * Writes a collection in Prometheus text format 0.0.4: families by name, HELP and TYPE lines, no
 * UNIT lines, `target_info`, `otel_scope_*` labels.
 *
 * @param collected what a reader's `collect()` resolved to; cumulative temporality
 * @returns the whole text; empty lines don't occur
 */
export function renderPrometheusText(collected: Pick<CollectionResult, "resourceMetrics">): string {
  return render(collected, PROMETHEUS_TEXT);
}

/**
 * Writes a collection in OpenMetrics 1.0, otherwise as {@linkcode renderPrometheusText}.
 *
 * @param collected what a reader's `collect()` resolved to; cumulative temporality
 * @returns the whole text; its last line is `# EOF`
 */
export function renderOpenMetrics(collected: Pick<CollectionResult, "resourceMetrics">): string {
  return render(collected, OPEN_METRICS);
}

function render(
  { resourceMetrics }: Pick<CollectionResult, "resourceMetrics">,
  format: TextFormat,
) {
  const families = new FamilyCatalog().families(resourceMetrics);
  return [...renderSlices(families, format)].join("");
}
