import * as z from "zod/mini";

/** What `--help`, docs/settings.md and error messages say about a variable. */
export interface Documentation {
  readonly description: string;
  /** Which values are allowed; completes the sentence "must be …". */
  readonly allowed: string;
  /** The default, as a value or in words; empty if there is none. */
  readonly default: string;
  /**
   * Whether a refused value may hold a secret, so that error messages leave it out. Without this,
   * `looksSecret` decides, which suits numbers and words.
   */
  readonly isSecret?: (value: string) => boolean;
}

const registry = z.registry<Documentation>();

/** Adds the documentation to a variable's schema. */
export function documented<T extends z.ZodMiniType>(schema: T, text: Documentation): T {
  registry.add(schema, text);
  return schema;
}

/**
 * Returns the documentation of a variable.
 *
 * @throws {Error} if it has none
 */
export function documentationOf(name: string, schema: z.core.$ZodType): Documentation {
  const text = registry.get(schema as z.ZodMiniType);
  if (text === undefined) throw new Error(`${name} is not documented`);
  return text;
}

/** Returns the variables as text for a terminal: two lines for each. */
export function helpText(variables: z.ZodMiniObject): string {
  const lines = rows(variables).flatMap(({ name, default: value, description, allowed }) => [
    `  ${name}${value && ` (default: ${value})`}`,
    `      ${description}. Allowed: ${allowed}.`,
  ]);
  return ["Environment variables:", ...lines].join("\n");
}

/** Returns the variables as the Markdown table in docs/settings.md. */
export function markdownTable(variables: z.ZodMiniObject): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| Variable | Default | Meaning | Allowed |",
    "| --- | --- | --- | --- |",
    ...rows(variables).map(({ name, default: value, description, allowed }) =>
      `| \`${name}\` | ${cell(value)} | ${cell(description)} | ${cell(allowed)} |`
    ),
  ].join("\n");
}

function rows({ shape }: z.ZodMiniObject) {
  return Object.entries(shape).map(([name, schema]) => ({
    name,
    ...documentationOf(name, schema),
  }));
}
