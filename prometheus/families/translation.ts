/**
 * Translates names of instruments and keys of attributes to names of metrics and labels, by one of the
 * specification's strategies, as Go's otlptranslator does.
 *
 * @see https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/prometheus/#configuration
 * @module
 */

import { wellFormed } from "../../log/well-formed.ts";
import { type InstrumentKind, labelName, metricName, unitWords } from "./names.ts";

/**
 * The specification's strategies. "Underscore escaping" replaces characters that Prometheus 2 does not
 * know with underscores. Without it, names stay as they are, and each scraper chooses an escaping.
 * "Suffixes" are units such as `_seconds`, and `_total` of counters.
 */
export const TRANSLATION_STRATEGIES = [
  "UnderscoreEscapingWithSuffixes",
  "UnderscoreEscapingWithoutSuffixes",
  "NoUTF8EscapingWithSuffixes",
  "NoTranslation",
] as const;

/** One of the specification's strategies. */
export type TranslationStrategy = typeof TRANSLATION_STRATEGIES[number];

/** Options of the names of metrics and labels. */
export interface TranslationOptions {
  /**
   * How to translate names. `UnderscoreEscapingWithSuffixes` is the default.
   * `UnderscoreEscapingWithoutSuffixes` adds no suffixes, `NoUTF8EscapingWithSuffixes` keeps all
   * characters, and `NoTranslation` does both. The endpoint shows names with other characters as they
   * are to scrapers that ask for it, such as Prometheus 3, and escapes them for others.
   */
  readonly translationStrategy?: TranslationStrategy | undefined;
  /** A prefix for the names of metrics, without the underscore after it. `target_info` has none. */
  readonly namespace?: string | undefined;
  /** Whether to leave out suffixes for units, such as `_seconds` and `_ratio`. */
  readonly withoutUnits?: boolean | undefined;
  /** Whether to leave out the suffix `_total` of counters. */
  readonly withoutTypeSuffix?: boolean | undefined;
}

/** One strategy with its options. */
export class Translation {
  /** Whether names may have any characters. */
  readonly utf8: boolean;
  readonly #suffixes: boolean;
  readonly #namespace: string;
  readonly #withoutUnits: boolean;
  readonly #withoutTypeSuffix: boolean;

  /** @throws {RangeError} if the strategy is unknown or the namespace has no valid character */
  constructor(options: TranslationOptions = {}) {
    const { translationStrategy: strategy = TRANSLATION_STRATEGIES[0], namespace = "" } = options;
    if (!TRANSLATION_STRATEGIES.includes(strategy)) {
      const allowed = TRANSLATION_STRATEGIES.join(", ");
      throw new RangeError(`translationStrategy is "${strategy}", but must be one of ${allowed}`);
    }
    this.utf8 = strategy === "NoUTF8EscapingWithSuffixes" || strategy === "NoTranslation";
    this.#suffixes = strategy.endsWith("WithSuffixes");
    this.#withoutUnits = options.withoutUnits ?? false;
    this.#withoutTypeSuffix = options.withoutTypeSuffix ?? false;
    const prefix = namespace === "" ? "" : this.labelName(namespace);
    if (prefix === undefined || /^_+$/.test(prefix)) {
      throw new RangeError(`namespace is "${namespace}", but must have a letter or a digit`);
    }
    this.#namespace = prefix;
  }

  /**
   * Returns the name of a metric.
   *
   * @param unit the instrument's UCUM unit
   * @param kind the kind of the metric's data, after any view
   * @returns undefined if no valid character is left
   */
  metricName(name: string, unit: string, kind: InstrumentKind): string | undefined {
    if (!this.#suffixes) return this.utf8 ? this.#asItIs(name) : this.#escaped(name);
    const shownUnit = this.#withoutUnits ? "" : unit;
    // As in Go: names of up-down counters have no suffix for their type.
    const shownKind = this.#withoutTypeSuffix && kind === "counter" ? "upDownCounter" : kind;
    if (!this.utf8) return metricName(name, shownUnit, shownKind, this.#namespace);
    return this.#asItIs(name, (prefixed) => withSuffixes(prefixed, shownUnit, shownKind));
  }

  /** Returns the label name for an attribute key. Undefined if it has none. */
  labelName(key: string): string | undefined {
    if (!this.utf8) return labelName(key);
    // Prometheus reserves names that begin with two underscores.
    return key === "" || key.startsWith("__") ? undefined : wellFormed(key);
  }

  #asItIs(name: string, complete = (prefixed: string) => prefixed): string | undefined {
    const prefixed = this.#namespace === "" ? name : `${this.#namespace}_${name}`;
    return wellFormed(complete(prefixed)) || undefined;
  }

  /** Unlike with suffixes, Go keeps the underscores that a name has. */
  #escaped(name: string): string | undefined {
    const tokens = name.split(/[^a-zA-Z0-9:_]+/).filter((token) => token !== "");
    if (this.#namespace !== "") return `${this.#namespace}_${tokens.join("_")}`;
    const joined = tokens.join("_");
    const valid = /^[0-9]/.test(joined) ? `_${joined}` : joined;
    return valid !== "" && (valid === name || /[^_]/.test(valid)) ? valid : undefined;
  }
}

/** The default strategy. */
export const DEFAULT_TRANSLATION: Translation = new Translation();

/** Adds suffixes to a name of any characters. Those that the name has already move to the end. */
function withSuffixes(name: string, unit: string, kind: InstrumentKind): string {
  const [main, per] = unitWords(unit);
  const type = kind === "counter" ? "total" : kind === "gauge" && unit === "1" ? "ratio" : "";
  let complete = withoutSuffix(withoutSuffix(name, type), per);
  if (main !== "" && !complete.endsWith(main)) complete += `_${main}`;
  if (per !== "") complete += `_${per}`;
  return type === "" ? complete : `${complete}_${type}`;
}

/** Removes a suffix and the character before it. */
function withoutSuffix(name: string, suffix: string): string {
  if (suffix === "" || !name.endsWith(suffix)) return name;
  const before = [...name.slice(0, -suffix.length)];
  return before.length > 1 ? before.slice(0, -1).join("") : name;
}
