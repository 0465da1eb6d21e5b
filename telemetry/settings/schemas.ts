import { DiagLogLevel } from "@opentelemetry/api";
import { z } from "zod";

/** What `--help`, the README and error messages say of a variable. */
export interface Documentation {
  readonly description: string;
  /** What a value may be; completes the sentence "must be …". */
  readonly allowed: string;
  /** What holds when the variable is not set, in words. */
  readonly initially: string;
  /**
   * Tells whether a value that is refused may hold a secret. Error messages leave it out then. Without
   * this, it is a number or a word, see {@link looksSecret}.
   */
  readonly isSecret?: (value: string) => boolean;
}

export const documentation = z.registry<Documentation>();

/** Adds the documentation to a variable's schema. */
export function documented<T extends z.ZodType>(schema: T, text: Documentation): T {
  documentation.add(schema, text);
  return schema;
}

/** A decimal number in a closed range; unlike `Number()` it takes no hex, blanks or exponents. */
export function numberSchema(least: number, most: number) {
  return z.string().regex(/^\d+(\.\d+)?$/).transform(Number).pipe(z.number().min(least).max(most));
}

/** A whole decimal number in a closed range. */
export function integerSchema(least: number, most: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(least).max(most));
}

/** `true` or `false` in any case (OpenTelemetry environment variable specification). */
export const booleanSchema = z.string().toLowerCase().pipe(z.enum(["true", "false"]))
  .transform((value) => value === "true");

const LOG_LEVELS = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
} as const;

/** The name of an OpenTelemetry log level in any case. */
export const logLevelSchema = z.string().toLowerCase()
  .pipe(z.enum(Object.keys(LOG_LEVELS) as (keyof typeof LOG_LEVELS)[]))
  .transform((name) => LOG_LEVELS[name]);

/** Host names without ports, or `*`, separated by commas. */
export const hostNamesSchema = z.string().transform((list) =>
  list.split(",").map((name) => name.trim())
).pipe(z.array(z.union([z.literal("*"), z.hostname()])));

/**
 * An http or https URL. The exporters add a path to it as it is, and log the whole if that makes no
 * URL, as it does after a blank.
 */
export const urlSchema = z.string().refine((url) => URL.canParse(`${url}/v1/metrics`))
  .pipe(z.url({ protocol: /^https?$/ }));

/** `key=value` pairs, percent-encoded as in W3C baggage (OpenTelemetry specification). */
export const pairsSchema = z.string().transform((list, context) => {
  const pairs: Record<string, string> = {};
  for (const pair of list.split(",")) {
    const separator = pair.indexOf("=");
    const key = decode(pair.slice(0, separator).trim());
    const value = decode(pair.slice(separator + 1).trim());
    if (separator < 0 || !key || value === undefined) {
      context.issues.push({ code: "custom", input: list });
      return z.NEVER;
    }
    pairs[key] = value;
  }
  return pairs;
});

/**
 * Pairs that can be sent as headers over HTTP as over gRPC, whose metadata takes fewer characters in
 * names, and whose names in `-bin` are for binary values.
 */
export const headersSchema = pairsSchema.refine((headers) =>
  Object.entries(headers).every(([name, value]) =>
    /^[\w.-]+$/.test(name) && !/-bin$/i.test(name) && /^[ -~]*$/.test(value)
  )
);

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
