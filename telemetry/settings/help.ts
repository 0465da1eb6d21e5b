import { documentation } from "./schemas.ts";
import { variables } from "./variables.ts";

/** One variable in the words of {@link documentation}. */
interface Row {
  readonly name: string;
  readonly initially: string;
  readonly description: string;
  readonly allowed: string;
}

function rows(): Row[] {
  return Object.entries(variables.shape).map(([name, schema]) => {
    const text = documentation.get(schema);
    if (text === undefined) throw new Error(`${name} is not documented`);
    return { name, ...text };
  });
}

/** The variables as text for a terminal: a line for the name and default, one for its meaning. */
export function helpText(): string {
  const lines = rows().flatMap(({ name, initially, description, allowed }) => [
    `  ${name}${initially && ` (default: ${initially})`}`,
    `      ${description}. Allowed: ${allowed}.`,
  ]);
  return ["Environment variables:", ...lines].join("\n");
}

/** The variables as a Markdown table, the one in the README. */
export function markdownTable(): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| Variable | Default | Meaning | Allowed |",
    "| --- | --- | --- | --- |",
    ...rows().map(({ name, initially, description, allowed }) =>
      `| \`${name}\` | ${cell(initially)} | ${cell(description)} | ${cell(allowed)} |`
    ),
  ].join("\n");
}
