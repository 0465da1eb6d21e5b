import { DiagLogLevel } from "@opentelemetry/api";
import * as z from "zod/mini";

/** A pattern for an IPv6 address, with its zone. */
export const IPV6 = "[0-9a-f:.]+(?:%[\\w.-]+)?";
/** A pattern for a character of a host name; it excludes those of a URL and of a user name. */
export const HOST_CHARACTER = "[^\\s/\\\\:@?#[\\]]";

/** The members of a comma-separated list. Empty ones, which templates leave behind, do not count. */
export function listMembers(list: string): string[] {
  return list.split(",").map((member) => member.trim()).filter((member) => member !== "");
}

/** A host name or an IP address. */
export const hostSchema = z.string().check(
  z.regex(new RegExp(`^(${IPV6}|${HOST_CHARACTER}+)$`, "i")),
);

/** A decimal number in a closed range. Unlike `Number()`, it refuses hex, blanks and exponents. */
export function numberSchema(min: number, max: number) {
  return z.pipe(
    z.pipe(z.string().check(z.regex(/^\d+(\.\d+)?$/)), z.transform(Number)),
    z.number().check(z.minimum(min), z.maximum(max)),
  );
}

/** A whole decimal number in a closed range. */
export function integerSchema(min: number, max: number) {
  return z.pipe(
    z.pipe(z.string().check(z.regex(/^\d+$/)), z.transform(Number)),
    z.int().check(z.minimum(min), z.maximum(max)),
  );
}

/** One of the names, in any case. */
export function choiceSchema<const T extends readonly string[]>(names: T) {
  return z.pipe(z.string().check(z.toLowerCase()), z.enum(names));
}

/** `true` or `false` in any case (OpenTelemetry environment variable specification). */
export const booleanSchema = z.pipe(
  choiceSchema(["true", "false"]),
  z.transform((value: "true" | "false") => value === "true"),
);

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
export const logLevelSchema = z.pipe(
  choiceSchema(Object.keys(LOG_LEVELS) as (keyof typeof LOG_LEVELS)[]),
  z.transform((name: keyof typeof LOG_LEVELS) => LOG_LEVELS[name]),
);

/** A comma-separated list of names, or `none` by itself. A list without names is the default one. */
export function listSchema<const T extends readonly string[]>(names: T, defaultList: string) {
  const members = z.transform((list: string) => {
    const chosen = listMembers(list);
    return [...new Set(chosen.length > 0 ? chosen : listMembers(defaultList))];
  });
  const list = z.pipe(
    z.pipe(z.string().check(z.toLowerCase()), members),
    z.array(z.enum(names)).check(
      z.refine((chosen: readonly string[]) => !chosen.includes("none") || chosen.length === 1),
    ),
  );
  return z.prefault(list, defaultList);
}

/** Names in any case, separated by commas, of which others may define more. */
export const namesSchema = z.pipe(
  z.string().check(z.toLowerCase()),
  z.transform(listMembers),
);

/** Members of a kind, separated by commas; at least one. */
function nonEmptyListSchema<T extends z.ZodMiniType<string, string>>(member: T) {
  return z.pipe(
    z.pipe(z.string(), z.transform(listMembers)),
    z.array(member).check(z.minLength(1)),
  );
}

/** `package.Service/Method` or `package.Service/*`, separated by commas; at least one. */
export const methodsSchema = nonEmptyListSchema(
  z.string().check(z.regex(/^[^\s/*]+\/([^\s/*]+|\*)$/)),
);

/**
 * Some of the known names, separated by commas. `*` at the end of one stands for any rest. A member
 * that selects nothing is an error.
 */
export function selectionSchema(known: readonly string[]) {
  return z.pipe(
    z.string(),
    z.transform((list: string, context) => {
      const selected = new Set<string>();
      for (const member of listMembers(list)) {
        const names = known.filter((name) =>
          member.endsWith("*") ? name.startsWith(member.slice(0, -1)) : name === member
        );
        if (names.length === 0) context.issues.push({ code: "custom", input: list });
        for (const name of names) selected.add(name);
      }
      return [...selected];
    }),
  );
}

/** Host names without ports, or `*`, separated by commas; at least one. */
export const hostNamesSchema = nonEmptyListSchema(z.union([z.literal("*"), z.hostname()]));

/** Keys of attributes, separated by commas; at least one. */
export const attributeKeysSchema = nonEmptyListSchema(z.string().check(z.regex(/^[^\s"'=;]+$/)));

/**
 * An http or https URL. The exporters append a path, and log the whole text if the result is no URL,
 * for example if the value ends in a blank.
 */
export const urlSchema = z.pipe(
  z.string().check(z.refine((url) => URL.canParse(`${url}/v1/metrics`))),
  z.url({ protocol: /^https?$/ }),
);

/** `key=value` pairs, percent-encoded as in W3C baggage (OpenTelemetry specification). */
export const pairsSchema = z.pipe(
  z.string(),
  z.transform((list: string, context) => {
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
  }),
);

/**
 * Pairs that can be sent as headers over both HTTP and gRPC. Metadata of gRPC allows fewer characters
 * in names, and names that end in `-bin` are for binary values.
 */
export const headersSchema = pairsSchema.check(
  z.refine((headers) =>
    Object.entries(headers).every(([name, value]) =>
      /^[\w.-]+$/.test(name) && !/-bin$/i.test(name) && /^[ -~]*$/.test(value)
    )
  ),
);

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
