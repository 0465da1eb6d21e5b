/**
 * Metric and label names: the "underscore escaping with suffixes" strategy of the OpenTelemetry
 * compatibility specification, as Go's Prometheus exporter applies it.
 *
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 * @module
 */

/** The kind of a metric's data. The suffixes of its name depend on it, and on its unit. */
export type InstrumentKind = "counter" | "upDownCounter" | "gauge" | "histogram";

const UNIT_WORDS: ReadonlyMap<string, string> = new Map([
  ["d", "days"],
  ["h", "hours"],
  ["min", "minutes"],
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
  ["By", "bytes"],
  ["KiBy", "kibibytes"],
  ["MiBy", "mebibytes"],
  ["GiBy", "gibibytes"],
  ["TiBy", "tibibytes"],
  ["KBy", "kilobytes"],
  ["MBy", "megabytes"],
  ["GBy", "gigabytes"],
  ["TBy", "terabytes"],
  ["m", "meters"],
  ["V", "volts"],
  ["A", "amperes"],
  ["J", "joules"],
  ["W", "watts"],
  ["g", "grams"],
  ["Cel", "celsius"],
  ["Hz", "hertz"],
  ["1", ""],
  ["%", "percent"],
]);

const PER_UNIT_WORDS: ReadonlyMap<string, string> = new Map([
  ["s", "second"],
  ["m", "minute"],
  ["h", "hour"],
  ["d", "day"],
  ["w", "week"],
  ["mo", "month"],
  ["y", "year"],
]);

/**
 * Returns the Prometheus name of a metric: runs of invalid characters become one underscore, followed
 * by the unit, followed by `_total` for counters or `_ratio` for gauges of unit 1.
 *
 * @param name the instrument's name, for example `grpc.server.call.duration`
 * @param unit the instrument's UCUM unit, for example `s`, `By/s` or `{call}`
 * @param kind the kind of the metric's data, after any view
 * @param namespace a valid name to put before it; empty for none
 * @returns for example `grpc_server_call_duration_seconds`; undefined if no valid character
 *   is left
 */
export function metricName(
  name: string,
  unit: string,
  kind: InstrumentKind,
  namespace = "",
): string | undefined {
  let tokens = name.split(/[^a-zA-Z0-9:]+/).filter((token) => token !== "");
  tokens.push(...unitTokens(unit, tokens));
  if (kind === "counter") tokens = [...tokens.filter((token) => token !== "total"), "total"];
  if (kind === "gauge" && unit === "1") {
    tokens = [...tokens.filter((token) => token !== "ratio"), "ratio"];
  }
  const joined = (namespace === "" ? tokens : [namespace, ...tokens]).join("_");
  const valid = /^[0-9]/.test(joined) ? `_${joined}` : joined;
  return /[^_]/.test(valid) ? valid : undefined;
}

/** Returns the words that a unit adds to a name, except those that the name has already. */
function unitTokens(unit: string, nameTokens: string[]): string[] {
  const [main, per] = unitWords(unit);
  let mainSuffix = cleanUnit(main);
  let perSuffix = cleanUnit(per).replace(/_$/, "");
  if (perSuffix === "per" || nameTokens.includes(perSuffix)) perSuffix = "";
  if (nameTokens.includes(mainSuffix)) mainSuffix = "";
  // As in Go, a main unit without a per unit keeps its trailing underscore.
  if (perSuffix !== "") mainSuffix = mainSuffix.replace(/_$/, "");
  return [mainSuffix, perSuffix].filter((suffix) => suffix !== "");
}

/** Returns the words for a unit, for example `bytes` and `per_second`. Each may be empty. */
export function unitWords(unit: string): [main: string, per: string] {
  const slash = unit.indexOf("/");
  const main = slash < 0 ? unit : unit.slice(0, slash);
  const per = unitWord(slash < 0 ? "" : unit.slice(slash + 1), PER_UNIT_WORDS);
  return [unitWord(main, UNIT_WORDS), per === "" ? "" : `per_${per}`];
}

/** Returns the word for one half of a unit. Annotations such as `{call}` have none. */
function unitWord(unit: string, words: ReadonlyMap<string, string>): string {
  const trimmed = unit.trim();
  return /[{}]/.test(trimmed) ? "" : words.get(trimmed) ?? trimmed;
}

function cleanUnit(suffix: string): string {
  return suffix.replace(/[^a-zA-Z0-9:]+/g, "_").replace(/^_/, "");
}

/**
 * Returns the label name for an attribute key: runs of invalid characters and of underscores become
 * one underscore, and a name that begins with a digit gets the prefix `key_`.
 *
 * @param key the attribute's key, for example `grpc.method`
 * @returns for example `grpc_method`; undefined if no valid character is left, or if the key begins
 *   and ends with two underscores: Prometheus reserves such names
 */
export function labelName(key: string): string | undefined {
  if (key.length >= 4 && key.startsWith("__") && key.endsWith("__")) return undefined;
  const name = key.replace(/[^a-zA-Z0-9]+/g, "_");
  if (/^_?$/.test(name)) return undefined;
  return /^[0-9]/.test(name) ? `key_${name}` : name;
}
