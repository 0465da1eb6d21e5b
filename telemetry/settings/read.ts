import type { z } from "zod";
import { documentation } from "./schemas.ts";
import { looksSecret } from "./secrets.ts";
import { variables } from "./variables.ts";
import type { Settings } from "./variables.ts";

/** Why a script cannot start, in lines for the person who started it. */
export class StartupError extends Error {
  override readonly name = "StartupError";
}

/**
 * Reads the variables that the scripts know from `environment`, and no others: under Deno reading
 * the whole environment needs a permission that the scripts do without.
 *
 * An empty value counts as not set (OpenTelemetry environment variable specification).
 *
 * @throws {StartupError} with one line for every bad variable: its name, its value unless that may
 * hold a secret, what is allowed.
 */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Settings {
  const names = Object.keys(variables.shape) as (keyof typeof variables.shape)[];
  const values = Object.fromEntries(names.map((name) => [name, environment[name] || undefined]));
  const result = variables.safeParse(values);
  if (result.success) return result.data;

  const { issues } = result.error;
  const bad = new Set(issues.map((issue) => issue.path[0]));
  const lines = names.filter((name) => bad.has(name)).map((name) => {
    const { allowed, isSecret = looksSecret } = documentation.get(variables.shape[name])!;
    const value = values[name] ?? "";
    const line = `${name}=${isSecret(value) ? "(not shown)" : JSON.stringify(value)}: ` +
      `must be ${allowed}`;
    const [reason] = issues.filter((issue) => issue.path[0] === name).map(reasonOf);
    return reason === undefined ? line : `${line}; ${reason}`;
  });
  throw new StartupError(lines.join("\n"));
}

/** What an issue says besides what is allowed. */
function reasonOf(issue: z.core.$ZodIssue): string | undefined {
  return issue.code === "custom" ? issue.params?.["reason"] : undefined;
}
