import type * as z from "zod/mini";
import { documentationOf } from "./documentation.ts";
import { looksSecret } from "./secrets.ts";

/** An error in the environment that stops a script at start. Its message is for the user. */
export class StartupError extends Error {
  override readonly name = "StartupError";
}

/**
 * Reads the variables of a schema, and no others: under Deno, reading the whole environment needs a
 * permission that the scripts do without.
 *
 * An empty value counts as not set (OpenTelemetry environment variable specification), and so does a
 * blank one, as in the SDK.
 *
 * @throws {StartupError} with one line for every bad variable, in the order of the schema: its name,
 * its value unless that may hold a secret, and what is allowed
 */
export function readVariables<T extends z.ZodMiniObject>(
  variables: T,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): z.output<T> {
  const names = Object.keys(variables.shape);
  const values = Object.fromEntries(names.map((name) => {
    const value = environment[name];
    return [name, value?.trim() ? value : undefined];
  }));
  const result = variables.safeParse(values);
  if (result.success) return result.data;

  const { issues } = result.error;
  const bad = new Set(issues.map((issue) => issue.path[0]));
  const lines = names.filter((name) => bad.has(name)).map((name) => {
    const { allowed, isSecret = looksSecret } = documentationOf(name, variables.shape[name]!);
    const value = values[name] ?? "";
    const line = `${name}=${isSecret(value) ? "(not shown)" : JSON.stringify(value)}: ` +
      `must be ${allowed}`;
    const [reason] = issues.filter((issue) => issue.path[0] === name).map(reasonOf);
    return reason === undefined ? line : `${line}; ${reason}`;
  });
  throw new StartupError(lines.join("\n"));
}

/** Returns the reason that a schema gives with an issue, such as "it is a pipe". */
function reasonOf(issue: z.core.$ZodIssue): string | undefined {
  return issue.code === "custom" ? issue.params?.["reason"] : undefined;
}
