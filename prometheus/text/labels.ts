/**
 * Label text: attributes become `name="value"` pairs in alphabetical order.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Attributes } from "@opentelemetry/api";
import { compareText, sortKey } from "./byte-order.ts";
import { labelName } from "./names.ts";
import { formatFloat } from "./numbers.ts";

/** One label: its valid name and its value before escaping. */
export type Label = readonly [name: string, value: string];

/** The labels of one series, ready to print and to be ordered by. */
export interface LabelSet {
  /** `a="1",b="2"` without braces, values escaped. */
  readonly text: string;
  /**
   * What series are ordered by, as client_golang does: fewer labels first, then value by value in
   * the order of the names. Where that is the same, any order, but always the same one.
   */
  readonly sortKey: string;
}

/** Says why a series can't be printed. */
export class NotPrintableError extends Error {}

/**
 * Turns attributes into label sets, for one scope. Each set is written once: the SDK holds one
 * object for an attribute set as long as its series lives.
 */
export class LabelBuilder {
  readonly #fixed: readonly Label[];
  readonly #names = new Map<string, string>();
  readonly #done = new WeakMap<Attributes, LabelSet>();

  /** @param fixed labels that every set gets: the scope's */
  constructor(fixed: readonly Label[]) {
    this.#fixed = fixed;
  }

  /**
   * @param attributes the attributes of a data point or of a resource
   * @returns its labels, the fixed ones among them
   * @throws {NotPrintableError} when a key has no valid name or is one of the fixed labels
   */
  build(attributes: Attributes): LabelSet {
    const known = this.#done.get(attributes);
    if (known !== undefined) return known;
    const built = labelSet([...this.#fixed, ...this.#labels(attributes)]);
    this.#done.set(attributes, built);
    return built;
  }

  #labels(attributes: Attributes): Label[] {
    return Object.keys(attributes).map((key) => [this.#name(key), attributeText(attributes[key])]);
  }

  #name(key: string): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = labelName(key);
    if (name === undefined) {
      throw new NotPrintableError(`the attribute "${key}" has no valid label name`);
    }
    if (this.#fixed.some(([fixed]) => fixed === name)) {
      throw new NotPrintableError(`the attribute "${key}" is in the way of the label ${name}`);
    }
    this.#names.set(key, name);
    return name;
  }
}

/** Go prints it empty when a scope has none. Prometheus drops empty labels, so it is left out. */
const LEFT_OUT_WHEN_EMPTY = "otel_scope_schema_url";

/**
 * Orders labels by name and writes them. Values of one name are ordered and joined with `;`, as the
 * specification says of attributes whose keys become one name. A label that is left out still takes
 * part in the order.
 *
 * @param labels in any order; the array is sorted in place
 */
export function labelSet(labels: Label[]): LabelSet {
  labels.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
  let text = "";
  const values: string[] = [];
  for (let i = 0, next = 1; i < labels.length; i = next++) {
    const [name, first] = labels[i]!;
    while (next < labels.length && labels[next]![0] === name) next++;
    const value = next === i + 1 ? first : joined(labels.slice(i, next));
    values.push(value);
    if (value === "" && name === LEFT_OUT_WHEN_EMPTY) continue;
    text += `${text === "" ? "" : ","}${name}="${escapeLabelValue(value)}"`;
  }
  return { text, sortKey: String.fromCharCode(values.length) + sortKey([...values, text]) };
}

function joined(labels: readonly Label[]): string {
  return labels.map(([, value]) => value).sort(compareText).join(";");
}

/**
 * Escapes a label value (and, in OpenMetrics, a help text): backslash, line feed, double quote.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information
 */
export function escapeLabelValue(value: string): string {
  const plain = value.indexOf('"') < 0 && value.indexOf("\\") < 0 && value.indexOf("\n") < 0;
  return plain ? value : escapeHelp(value).replaceAll('"', '\\"');
}

/** Escapes a help text of format 0.0.4: backslash and line feed. */
export function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/**
 * An attribute's value as text: strings as they are, everything else as the specification's
 * non-OTLP representation has it (JSON, numbers as Go prints them).
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

/** JSON.stringify leaves these two separators alone; Go's encoder doesn't. */
function jsonString(text: string): string {
  return JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
