/**
 * Writes the two text formats, 0.0.4 and OpenMetrics 1.0, byte for byte as client_golang does.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 * @module
 */

import type { CollectionResult, ExponentialHistogram, Histogram } from "@opentelemetry/sdk-metrics";
import { type Family, FamilyCatalog } from "../families/families.ts";
import { escapeHelp, escapeLabelValue } from "../families/labels.ts";
import type { ExpositionOptions } from "../families/options.ts";
import { isPlainMetricName } from "../families/plain-names.ts";
import { formatFloat, formatOpenMetricsFloat } from "../families/numbers.ts";

/** The differences between the two formats. */
export interface TextFormat {
  /** Returns the name and the type for the HELP and TYPE lines. */
  metadata(family: Family): { readonly name: string; readonly type: string };
  escapeHelp(help: string): string;
  /** Formats a sample's value or a bucket's bound. */
  float(value: number): string;
  /** Formats a number of observations. */
  count(value: number): string;
  /** The text after the last family. */
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

/** OpenMetrics 1.0, and 0.0.1, which client_golang writes in the same way. */
export const OPEN_METRICS: TextFormat = {
  metadata({ name, type }) {
    if (type !== "counter") return { name, type };
    // The name of a counter must end in _total. A counter named "total" cannot be a counter here.
    if (!name.endsWith("_total")) return { name, type: "unknown" };
    return { name: name.slice(0, -"_total".length), type };
  },
  escapeHelp: escapeLabelValue,
  float: formatOpenMetricsFloat,
  count: String,
  end: "# EOF\n",
};

/**
 * The length of a slice in UTF-16 code units: about 400 lines, which take a few tenths of a
 * millisecond. With much smaller slices, streams and event loop turns cost more than the text itself.
 */
const SLICE_LENGTH = 65_536;

/**
 * Writes families in slices of about 64 KiB, so that the caller can let the event loop run in between.
 * Some slices are empty. The families are a snapshot: values recorded meanwhile do not appear.
 *
 * @param families the families in the order of the text
 * @param format the text format to write
 */
export function* renderSlices(families: Iterable<Family>, format: TextFormat): Generator<string> {
  let text = "";
  for (const family of families) {
    const lines = new LineWriter(family.name, format);
    const { name: bare, type } = format.metadata(family);
    const name = isPlainMetricName(bare) ? bare : quoted(bare);
    let header = `# HELP ${name} ${format.escapeHelp(family.help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of yield* family.values()) {
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

function quoted(name: string): string {
  return `"${escapeLabelValue(name)}"`;
}

const NO_BUCKETS: Histogram["buckets"] = { boundaries: [], counts: [] };

/** The beginning of sample lines. A name of other characters stands in quotes among the labels. */
class LineStart {
  /** The text before labels. */
  readonly open: string;
  readonly #alone: string;

  constructor(name: string) {
    const isPlain = isPlainMetricName(name);
    this.open = isPlain ? `${name}{` : `{${quoted(name)},`;
    this.#alone = isPlain ? name : `{${quoted(name)}}`;
  }

  /** Returns the name with labels. */
  with(labels: string): string {
    return labels === "" ? this.#alone : `${this.open}${labels}}`;
  }
}

/** Writes the sample lines of one family. */
class LineWriter {
  readonly #value: LineStart;
  readonly #bucket: LineStart;
  readonly #sum: LineStart;
  readonly #count: LineStart;
  readonly #format: TextFormat;
  /** The `le` labels by bounds: all values of a metric share one array of bounds. */
  readonly #bounds = new Map<number[], string[]>();

  constructor(name: string, format: TextFormat) {
    this.#value = new LineStart(name);
    this.#bucket = new LineStart(`${name}_bucket`);
    this.#sum = new LineStart(`${name}_sum`);
    this.#count = new LineStart(`${name}_count`);
    this.#format = format;
  }

  // OpenMetrics puts exemplars at the end of these lines, but the JavaScript SDK (3.1) has none.

  sample(labels: string, value: number): string {
    return `${this.#value.with(labels)} ${this.#format.float(value)}\n`;
  }

  /** The text formats have no native histograms: an exponential histogram has only a sum and a count. */
  histogram(labels: string, histogram: Histogram | ExponentialHistogram): string {
    const { count, sum } = histogram;
    const { boundaries, counts } = "buckets" in histogram ? histogram.buckets : NO_BUCKETS;
    const start = this.#bucket.open + (labels === "" ? "" : `${labels},`);
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
      // The SDK has no sum for histograms of values that may be negative; Go prints 0.
      `${this.#sum.with(labels)} ${format.float(sum ?? 0)}\n` +
      `${this.#count.with(labels)} ${total}\n`;
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
 * Writes collected metrics in Prometheus text format 0.0.4, as Go's OpenTelemetry exporter and
 * client_golang do: families sorted by name with HELP and TYPE lines, without UNIT lines, with
 * `target_info` and `otel_scope_*` labels. Units become suffixes of the names, for example `_seconds`.
 *
 * Leaves out metrics that have no valid name or conflict with others, for example two types under one
 * name, with a warning to OpenTelemetry's `diag` logger.
 *
 * @param collected the result of a reader's `collect()`, with cumulative temporality
 * @param options what to show; names of other characters are in quotes, not escaped
 * @returns the whole text, without empty lines
 * @throws {RangeError} if an option is invalid
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 */
export function renderPrometheusText(
  collected: Pick<CollectionResult, "resourceMetrics">,
  options?: ExpositionOptions,
): string {
  return render(collected, PROMETHEUS_TEXT, options);
}

/**
 * Writes collected metrics in OpenMetrics 1.0. Otherwise like {@linkcode renderPrometheusText}.
 *
 * @param collected the result of a reader's `collect()`, with cumulative temporality
 * @param options what to show; names of other characters are in quotes, not escaped
 * @returns the whole text; its last line is `# EOF`
 * @throws {RangeError} if an option is invalid
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
export function renderOpenMetrics(
  collected: Pick<CollectionResult, "resourceMetrics">,
  options?: ExpositionOptions,
): string {
  return render(collected, OPEN_METRICS, options);
}

function render(
  { resourceMetrics }: Pick<CollectionResult, "resourceMetrics">,
  format: TextFormat,
  options: ExpositionOptions | undefined,
) {
  const families = new FamilyCatalog(undefined, options).families(resourceMetrics);
  return [...renderSlices(families, format)].join("");
}
