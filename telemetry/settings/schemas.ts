import { DiagLogLevel } from "@opentelemetry/api";
import { z } from "zod";

/** A pattern for an IPv6 address, with its zone. */
export const IPV6 = "[0-9a-f:.]+(?:%[\\w.-]+)?";
/** A pattern for a character of a host name; it excludes those of a URL and of a user name. */
export const HOST_CHARACTER = "[^\\s/\\\\:@?#[\\]]";

/** The members of a comma-separated list. Empty ones, which templates leave behind, do not count. */
export function listMembers(list: string): string[] {
  return list.split(",").map((member) => member.trim()).filter((member) => member !== "");
}

/** A host name or an IP address. */
export const hostSchema = z.string().regex(new RegExp(`^(${IPV6}|${HOST_CHARACTER}+)$`, "i"));

/** A decimal number in a closed range. Unlike `Number()`, it refuses hex, blanks and exponents. */
export function numberSchema(min: number, max: number) {
  return z.string().regex(/^\d+(\.\d+)?$/).transform(Number).pipe(z.number().min(min).max(max));
}

/** A whole decimal number in a closed range. */
export function integerSchema(min: number, max: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(min).max(max));
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

/** A comma-separated list of names, or `none` by itself. A list without names is the default one. */
export function listSchema<const T extends readonly string[]>(names: T, defaultList: string) {
  return z.string().toLowerCase().transform((list) => {
    const chosen = listMembers(list);
    return [...new Set(chosen.length > 0 ? chosen : listMembers(defaultList))];
  }).pipe(z.array(z.enum(names))).refine(
    (chosen: readonly string[]) => !chosen.includes("none") || chosen.length === 1,
  ).prefault(defaultList);
}

/** Names in any case, separated by commas, of which others may define more. */
export const namesSchema = z.string().toLowerCase().transform(listMembers);

/** `package.Service/Method` or `package.Service/*`, separated by commas; at least one. */
export const methodsSchema = z.string().transform(listMembers)
  .pipe(z.array(z.string().regex(/^[^\s/*]+\/([^\s/*]+|\*)$/)).min(1));

/**
 * Some of the known names, separated by commas. `*` at the end of one stands for any rest. A member
 * that selects nothing is an error.
 */
export function selectionSchema(known: readonly string[]) {
  return z.string().transform((list, context) => {
    const selected = new Set<string>();
    for (const member of listMembers(list)) {
      const names = known.filter((name) =>
        member.endsWith("*") ? name.startsWith(member.slice(0, -1)) : name === member
      );
      if (names.length === 0) context.issues.push({ code: "custom", input: list });
      for (const name of names) selected.add(name);
    }
    return [...selected];
  });
}

/** Host names without ports, or `*`, separated by commas; at least one. */
export const hostNamesSchema = z.string().transform(listMembers)
  .pipe(z.array(z.union([z.literal("*"), z.hostname()])).min(1));

/** Keys of attributes, separated by commas; at least one. */
export const attributeKeysSchema = z.string().transform(listMembers)
  .pipe(z.array(z.string().regex(/^[^\s"'=;]+$/)).min(1));

/**
 * An http or https URL. The exporters append a path, and log the whole text if the result is no URL,
 * for example if the value ends in a blank.
 */
export const urlSchema = z.string().refine((url) => URL.canParse(`${url}/v1/metrics`))
  .pipe(z.url({ protocol: /^https?$/ }));

/** `key=value` pairs, percent-encoded as in W3C baggage (OpenTelemetry specification). */
export const pairsSchema = z.string().transform((list, context) => {
  const pairs: Record<string, string> = {};
  for (const pair of listMembers(list)) {
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
 * Pairs that can be sent as headers over both HTTP and gRPC. Metadata of gRPC allows fewer characters
 * in names, and names that end in `-bin` are for binary values.
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
