/**
 * Turns attributes into label text: `name="value"` pairs in alphabetical order.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Attributes } from "@opentelemetry/api";
import { wellFormed } from "../../log/well-formed.ts";
import { compareText, sortKey } from "./byte-order.ts";
import { formatFloat } from "./numbers.ts";
import { isPlainLabelName } from "./plain-names.ts";
import { DEFAULT_TRANSLATION, type Translation } from "./translation.ts";

/** A label: its valid name, and its value before escaping. */
export type Label = readonly [name: string, value: string];

/** A label set, ready to print and to sort by. */
export interface LabelSet {
  /** The labels that are printed, in alphabetical order. */
  readonly pairs: readonly Label[];
  /** `a="1",b="2"` without braces, values escaped. Names of other characters are in quotes. */
  readonly text: string;
  /**
   * The key to sort by, in client_golang's order: fewer labels first, then value by value in the
   * order of the names. Label sets with equal values have a fixed order too.
   */
  readonly sortKey: string;
}

/** The reason why a data point cannot be printed. */
export class NotPrintableError extends Error {}

/**
 * Turns the attributes of one scope's data points into label sets. Each attribute set is converted
 * once: the SDK returns the same object for it in every collection.
 */
export class LabelBuilder {
  readonly #fixed: readonly Label[];
  readonly #translation: Translation;
  readonly #names = new Map<string, string>();
  readonly #done = new WeakMap<Attributes, LabelSet>();

  /**
   * @param fixed labels to add to every set: those of the scope and of the resource
   * @param translation translates the attributes' keys
   */
  constructor(fixed: readonly Label[], translation: Translation = DEFAULT_TRANSLATION) {
    this.#fixed = fixed;
    this.#translation = translation;
  }

  /**
   * Returns the labels of attributes, including the fixed ones.
   *
   * @param attributes the attributes of a data point or of a resource
   * @throws {NotPrintableError} if a key has no valid label name, or has the name of a fixed label
   */
  build(attributes: Attributes): LabelSet {
    const known = this.#done.get(attributes);
    if (known !== undefined) return known;
    const labels = [...this.#fixed, ...this.#labels(attributes)];
    const built = labelSet(labels, this.#translation.utf8);
    this.#done.set(attributes, built);
    return built;
  }

  #labels(attributes: Attributes): Label[] {
    return Object.keys(attributes).map((key) => [this.#name(key), attributeText(attributes[key])]);
  }

  #name(key: string): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#translation.labelName(key);
    if (name === undefined) {
      throw new NotPrintableError(`the attribute "${key}" has no valid label name`);
    }
    if (this.#fixed.some(([fixed]) => fixed === name)) {
      throw new NotPrintableError(`the attribute "${key}" has the reserved label name ${name}`);
    }
    this.#names.set(key, name);
    return name;
  }
}

/** Go prints this label even if it is empty. Prometheus drops empty labels, so it is left out. */
const LEFT_OUT_WHEN_EMPTY = "otel_scope_schema_url";

/**
 * Sorts labels by name and writes them. Several values of one name are sorted and joined with `;`:
 * the specification requires this when attribute keys become the same name. A label that is left out
 * still counts for the sort key.
 *
 * @param labels the labels in any order; the array is sorted in place
 * @param utf8 whether names may need quotes
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-attributes
 */
export function labelSet(labels: Label[], utf8 = false): LabelSet {
  if (utf8) labels.sort((a, b) => compareText(a[0], b[0]));
  else labels.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
  let text = "";
  const pairs: Label[] = [];
  const values: string[] = [];
  for (let i = 0, next = 1; i < labels.length; i = next++) {
    const [name, first] = labels[i]!;
    while (next < labels.length && labels[next]![0] === name) next++;
    const value = wellFormed(next === i + 1 ? first : joined(labels.slice(i, next)));
    values.push(value);
    if (value === "" && name === LEFT_OUT_WHEN_EMPTY) continue;
    pairs.push([name, value]);
    const printed = utf8 && !isPlainLabelName(name) ? `"${escapeLabelValue(name)}"` : name;
    text += `${text === "" ? "" : ","}${printed}="${escapeLabelValue(value)}"`;
  }
  return { pairs, text, sortKey: String.fromCharCode(values.length) + sortKey([...values, text]) };
}

function joined(labels: readonly Label[]): string {
  return labels.map(([, value]) => value).sort(compareText).join(";");
}

/**
 * Escapes a label value, or a help text in OpenMetrics: backslash, line feed and double quote.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information
 */
export function escapeLabelValue(value: string): string {
  const plain = value.indexOf('"') < 0 && value.indexOf("\\") < 0 && value.indexOf("\n") < 0;
  return plain ? value : escapeHelp(value).replaceAll('"', '\\"');
}

/** Escapes a help text in format 0.0.4: backslash and line feed. */
export function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/**
 * Converts an attribute value to text: a string stays as it is, any other value gets the
 * specification's representation for non-OTLP protocols (JSON, with numbers as Go prints them).
 *
 * @see https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols
 */
export function attributeText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return String(value);
    return Number.isFinite(value) ? formatFloat(value) : String(value);
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? jsonText(value) : String(value);
}

function jsonText(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (typeof value === "number") {
    return Number.isFinite(value) ? attributeText(value) : jsonString(String(value));
  }
  if (typeof value === "boolean") return String(value);
  if (typeof value !== "object" || value instanceof Uint8Array) {
    return jsonString(attributeText(value));
  }
  const entries = Object.entries(value).sort(([a], [b]) => compareText(a, b));
  return `{${entries.map(([key, entry]) => `${jsonString(key)}:${jsonText(entry)}`).join(",")}}`;
}

/** Go's JSON encoder escapes these two separators, `JSON.stringify` does not. */
function jsonString(text: string): string {
  return JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
