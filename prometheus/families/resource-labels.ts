import type { Attributes } from "@opentelemetry/api";
import { attributeText, type Label, labelSet } from "./labels.ts";
import type { Translation } from "./translation.ts";
import type { MetricWarnings } from "./warnings.ts";

/** Selects the resource attributes that are labels of every series. */
export class ResourceLabels {
  readonly #pattern: RegExp;
  readonly #translation: Translation;
  readonly #reserved: ReadonlySet<string>;
  readonly #warnings: MetricWarnings;
  #attributes: Attributes | undefined;
  #labels: readonly Label[] = [];
  #text = "";

  /**
   * @param pattern matches the keys of the attributes
   * @param reserved names that other labels have
   */
  constructor(
    pattern: RegExp,
    translation: Translation,
    reserved: ReadonlySet<string>,
    warnings: MetricWarnings,
  ) {
    this.#pattern = pattern;
    this.#translation = translation;
    this.#reserved = reserved;
    this.#warnings = warnings;
  }

  /** Returns the labels: the same array until they change, because some attributes resolve late. */
  of(attributes: Attributes): readonly Label[] {
    if (attributes === this.#attributes) return this.#labels;
    this.#attributes = attributes;
    const labels: Label[] = [];
    for (const [key, value] of Object.entries(attributes)) {
      // `test` would begin where the last match of a global pattern ended.
      if (key.search(this.#pattern) < 0) continue;
      const name = this.#translation.labelName(key);
      if (name === undefined || this.#reserved.has(name)) {
        const reason = name === undefined ? "has no valid label name" : `is reserved as ${name}`;
        this.#warnings.once(`The resource attribute "${key}" is no label of metrics: it ${reason}`);
      } else labels.push([name, attributeText(value)]);
    }
    const { pairs, text } = labelSet(labels, this.#translation.utf8);
    if (text !== this.#text) [this.#labels, this.#text] = [pairs, text];
    return this.#labels;
  }
}
