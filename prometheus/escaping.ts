/**
 * Escapes names with characters that Prometheus 2 does not know, by the scheme that a scraper asks for,
 * as client_golang does.
 *
 * @see https://prometheus.io/docs/instrumenting/escaping_schemes/
 * @module
 */

import { type Family, type LabelledValue, suffixRival } from "./families/families.ts";
import { escapeLabelValue, type Label, type LabelSet } from "./families/labels.ts";
import { isPlainLabelName, isPlainMetricName } from "./families/plain-names.ts";
import type { MetricWarnings } from "./families/warnings.ts";

/** The schemes of the parameter `escaping`. `allow-utf-8` means none. */
export const ESCAPING_SCHEMES = ["allow-utf-8", "underscores", "dots", "values"] as const;

/** A scheme of the parameter `escaping`. */
export type EscapingScheme = typeof ESCAPING_SCHEMES[number];

/** The number of values between two yields. */
const BATCH = 500;

/**
 * Escapes a name that is not plain.
 *
 * @param allowed matches the characters that stay: letters, digits and more
 */
export function escapeName(
  name: string,
  scheme: Exclude<EscapingScheme, "allow-utf-8">,
  allowed: RegExp,
): string {
  const escaped = Array.from(name, (character, index) => {
    if (character === "_" && scheme !== "underscores") return "__";
    if (character === "." && scheme === "dots") return "_dot_";
    const isLeadingDigit = index === 0 && /[0-9]/.test(character);
    if (allowed.test(character) && !isLeadingDigit) return character;
    if (scheme === "values") return `_${character.codePointAt(0)!.toString(16)}_`;
    return scheme === "dots" ? "__" : "_";
  });
  return (scheme === "values" ? "U__" : "") + escaped.join("");
}

/** What is known of one scheme. */
interface Known {
  /** The names of the families that have the escaped names. The first one keeps it. */
  readonly owners: Map<string, string>;
  readonly labels: WeakMap<LabelSet, LabelSet>;
}

/** Escapes the families of one catalog. */
export class NameEscaper {
  readonly #warnings: MetricWarnings;
  readonly #known = new Map<EscapingScheme, Known>();

  constructor(warnings: MetricWarnings) {
    this.#warnings = warnings;
  }

  /**
   * Escapes the names of families and labels. Families and values whose names are the same then are
   * left out, except the first.
   */
  escape(families: readonly Family[], scheme: EscapingScheme): readonly Family[] {
    if (scheme === "allow-utf-8") return families;
    let known = this.#known.get(scheme);
    if (known === undefined) {
      this.#known.set(scheme, known = { owners: new Map(), labels: new WeakMap() });
    }
    const { owners, labels } = known;
    const escaped = new Map<string, Family>();
    for (const family of families) {
      const isPlain = isPlainMetricName(family.name);
      const name = isPlain ? family.name : escapeName(family.name, scheme, /[a-zA-Z0-9_:]/);
      const owner = owners.get(name) ?? family.name;
      owners.set(name, owner);
      const rival = owner === family.name ? suffixRival(name, family.type, escaped) : owner;
      if (rival !== undefined) {
        const reason = `with escaping=${scheme} its name collides with ${rival}`;
        this.#warnings.leftOut(family.name, reason);
        continue;
      }
      const values = () => this.#values(family, scheme, labels);
      escaped.set(name, { name, type: family.type, help: family.help, values });
    }
    return [...escaped.values()];
  }

  *#values(
    family: Family,
    scheme: Exclude<EscapingScheme, "allow-utf-8">,
    known: Known["labels"],
  ): Generator<"", readonly LabelledValue[]> {
    const escaped: LabelledValue[] = [];
    const texts = new Set<string>();
    for (const [index, value] of (yield* family.values()).entries()) {
      if (index % BATCH === 0) yield "";
      let labels = known.get(value.labels);
      if (labels === undefined) {
        known.set(value.labels, labels = this.#escapeLabels(value.labels, scheme));
      }
      if (texts.has(labels.text)) {
        const reason = `with escaping=${scheme} their labels are not unique`;
        this.#warnings.leftOut(`${family.name} of some attributes`, reason);
        continue;
      }
      texts.add(labels.text);
      escaped.push({ ...value, labels });
    }
    return escaped;
  }

  #escapeLabels(
    labels: LabelSet,
    scheme: Exclude<EscapingScheme, "allow-utf-8">,
  ): LabelSet {
    if (labels.pairs.every(([name]) => isPlainLabelName(name))) return labels;
    // As in client_golang, the order stays that of the names before.
    const values = new Map<string, string>();
    for (const [name, value] of labels.pairs) {
      const shown = isPlainLabelName(name) ? name : escapeName(name, scheme, /[a-zA-Z0-9_]/);
      const other = values.get(shown);
      if (other !== undefined) {
        const text = `With escaping=${scheme} several labels have the name ${shown}; ` +
          "their values are joined";
        this.#warnings.once(text);
      }
      values.set(shown, other === undefined ? value : `${other};${value}`);
    }
    const pairs: Label[] = [...values];
    const text = pairs.map(([name, value]) => `${name}="${escapeLabelValue(value)}"`).join(",");
    return { pairs, text, sortKey: labels.sortKey };
  }
}
