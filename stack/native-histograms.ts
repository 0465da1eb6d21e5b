/**
 * Makes the rules and the dashboard for native histograms out of those for classic ones, so that both
 * stay the same:
 *
 * ```sh
 * node runtimes/run.mjs node stack/native-histograms.ts
 * ```
 *
 * Only the durations of calls can be native histograms. The names of recorded series stay the same,
 * except for those with `_bucket`.
 *
 * @see https://prometheus.io/docs/specs/native_histograms/
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

/** A metric that is a native histogram. */
const METRIC = String.raw`(?<metric>(?<![\w:])grpc_\w+_duration_seconds)`;
const SELECTOR = String.raw`(?<selector>\{[^}]*\})?`;
const RANGE = String.raw`(?<range>\[[^\]]+\])`;

/** How a query of a classic histogram becomes one of a native histogram, in this order. */
const REPLACEMENTS: readonly (readonly [classic: RegExp, native: string])[] = [
  [
    new RegExp(String.raw`rate\(${METRIC}_count${SELECTOR}${RANGE}\)`, "g"),
    "histogram_count(rate($<metric>$<selector>$<range>))",
  ],
  [
    new RegExp(String.raw`rate\(${METRIC}_sum${SELECTOR}${RANGE}\)`, "g"),
    "histogram_sum(rate($<metric>$<selector>$<range>))",
  ],
  [
    new RegExp(String.raw`${METRIC}_count\b(?!:)${SELECTOR}`, "g"),
    "histogram_count($<metric>$<selector>)",
  ],
  // A graph leaves out buckets without attempts. A heatmap has none, and no histogram is above 0.
  [
    new RegExp(
      String.raw`^sum by \(le\) \(increase\(${METRIC}_bucket${SELECTOR}${RANGE}\)\) > 0$`,
      "g",
    ),
    "sum(increase($<metric>$<selector>$<range>))",
  ],
  [new RegExp(`${METRIC}_bucket`, "g"), "$<metric>"],
  // The names of recorded series.
  [/\b(\w+)_le:(\w+)_bucket:/g, "$1:$2:"],
  // The calls below any bound, and those within a limit. Without calls, there is no fraction.
  [
    /sum by \((\w+)\) \(\s*([\w:]+)\{\s*([^}]*), le="\+Inf"\s*\}\s*\)/g,
    "histogram_count(sum by ($1) ($2{$3}))",
  ],
  [
    /sum by \((\w+)\) \(\s*([\w:]+)\{\s*([^}]*), le=~?"(\d+)[^"]*"\s*\}\s*\)/g,
    "(\n" +
    "  histogram_fraction(0, $4, sum by ($1) ($2{$3}))\n" +
    "    * histogram_count(sum by ($1) ($2{$3})) >= 0\n" +
    "  or 0 * histogram_count(sum by ($1) ($2{$3}))\n" +
    ")",
  ],
  [/ by \(le\) \(/g, "("],
  [/, le\)/g, ")"],
];

/**
 * Turns queries of classic histograms into those of native histograms. Everything else stays as it is.
 *
 * @param text one query, or a file of rules with comments
 * @throws {Error} if a query still reads buckets then
 */
export function nativeQueries(text: string): string {
  const native = REPLACEMENTS.reduce(
    (before, [from, to]) => before.replace(from, (...match) => expanded(to, match)),
    text,
  );
  const left = CLASSIC.exec(native.replace(/^ *#.*$/gm, ""));
  if (left !== null) throw new Error(`"${left[0]}" has no form for native histograms`);
  return native;
}

/** Finds what only classic histograms have. */
const CLASSIC = /.*(?:_bucket\b|\ble\b|_duration_seconds_(?:count|sum)\b(?!:)).*/;

/** Fills in a replacement, and indents its further lines like the line that it begins in. */
function expanded(replacement: string, match: readonly unknown[]): string {
  const groups = match.at(-1);
  const hasNames = typeof groups === "object";
  const [offset, text] = match.slice(hasNames ? -3 : -2) as [number, string];
  const [indent] = /^ */.exec(text.slice(text.lastIndexOf("\n", offset - 1) + 1))!;
  return replacement
    .replace(/\$<(\w+)>/g, (_, name) => (groups as Record<string, string | undefined>)[name] ?? "")
    .replace(/\$(\d)/g, (_, index) => String(match[index] ?? ""))
    .replaceAll("\n", `\n${indent}`);
}

/** Comments about bounds, and what holds for native histograms instead. */
const COMMENTS: readonly (readonly [classic: string, native: string])[] = [
  [
    `To
# change the latency limit, change \`le\` in the rule for slow calls. Use a bucket bound of the
# histograms (... 0.1 0.25 0.5 1 2 5 10 ... s, gRFC A66), because other limits can't be counted
# exactly.`,
    `To
# change the latency limit, change it in the rule for slow calls. Any limit will do: calls within
# the same bucket as the limit are estimated.`,
  ],
  [
    ` Prometheus 2 stores le as written, "5" in the text format and "5.0" in OpenMetrics;
      # Prometheus 3 always stores "5.0" of a scrape. What arrives by OTLP or by a Collector's remote
      # write has "5".`,
    "",
  ],
];

/** Turns a file of rules for classic histograms into one for native histograms. */
function nativeRules(file: string, rules: string): string {
  const text = COMMENTS.reduce((before, [from, to]) => before.replace(from, () => to), rules);
  return `# ${file} for native histograms, made by stack/native-histograms.ts. Load one of the two.\n#\n` +
    nativeQueries(text);
}

/** The parts of a Grafana panel that differ for native histograms. */
interface Panel {
  type: string;
  title: string;
  description?: string;
  options?: object;
  fieldConfig?: unknown;
  targets?: { expr: string; legendFormat: string; format?: string }[];
}

/** Turns the dashboard for classic histograms into one for native histograms. */
function nativeDashboard(json: string): string {
  const dashboard = JSON.parse(json) as { uid: string; title: string; panels: Panel[] };
  dashboard.uid += "-native";
  dashboard.title += ", native histograms";
  const heatmap = dashboard.panels.find(({ type }) => type === "heatmap")!;
  for (const panel of dashboard.panels) {
    for (const target of panel.targets ?? []) {
      const isOfBuckets = /\{\{le\}\}/.test(target.legendFormat);
      target.expr = nativeQueries(target.expr);
      if (!isOfBuckets) continue;
      target.legendFormat = "";
      // Of native histograms, Grafana makes a heatmap out of time series.
      delete target.format;
      if (panel.type === "heatmap") continue;
      const { type, options, fieldConfig } = heatmap;
      const cellValues = { unit: "short" };
      Object.assign(panel, { type, options: { ...options, cellValues }, fieldConfig });
      panel.title = panel.title.replace("by bucket", "by duration");
      panel.description =
        "The codelab's second query: the attempts of the last minute in each bucket of the histogram.";
    }
  }
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

const STACK = new URL("./", import.meta.url);

/** The files for native histograms, by their path in this folder. */
export function nativeFiles(): Record<string, string> {
  const read = (path: string) => readFileSync(new URL(path, STACK), "utf8");
  return {
    "rules/native/connections.yml": nativeRules("connections.yml", read("rules/connections.yml")),
    "rules/native/grpc.yml": nativeRules("grpc.yml", read("rules/grpc.yml")),
    "rules/native/slo.yml": nativeRules("slo.yml", read("rules/slo.yml")),
    "dashboards/grpc-native.json": nativeDashboard(read("dashboards/grpc.json")),
  };
}

if (import.meta.main) {
  mkdirSync(new URL("rules/native/", STACK), { recursive: true });
  for (const [path, text] of Object.entries(nativeFiles())) {
    writeFileSync(new URL(path, STACK), text);
  }
}
