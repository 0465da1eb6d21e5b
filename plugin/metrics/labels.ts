import { status } from "@grpc/grpc-js";
import { isPromise } from "node:util/types";
import { onRejection } from "../../log/rejection.ts";
import { warnOfThrown } from "../warning.ts";

/**
 * The value of `grpc.method` for methods that are not registered or that a filter hides, of
 * `grpc.target` for targets that a filter hides, and of `grpc.status` for status codes over the
 * limit.
 */
export const OTHER = "other";

/**
 * Returns the `grpc.status` label of a status code: its name (`"OK"`, `"CANCELLED"`), or `CODE(17)`
 * for a number that gRPC does not define, as grpc-go prints it (gRFC A66). Anything that is not a
 * non-negative integer is `UNKNOWN` (gRPC over HTTP/2).
 */
export function statusName(code: number): string {
  const isCode = Number.isInteger(code) && code >= 0;
  return isCode ? status[code] ?? `CODE(${code})` : "UNKNOWN";
}

/** The labels that are recorded only on request, and the gRFC that defines each. */
export const OPTIONAL_LABELS = [
  "grpc.client.call.custom", // A108
  "grpc.lb.locality", // A78
  "grpc.lb.backend_service", // A89
  "grpc.disconnect_error", // A94
  "grpc.security_level", // A94
  "grpc.tls.handshake.resumed", // A118
  "network.local.address", // A80
  "network.local.port", // A80
  "network.peer.address", // A80
  "network.peer.port", // A80
  "grpc.method", // A121; other metrics have this label in any case
] as const;

/** The labels that say where a load balancer sends an attempt. */
export const LOAD_BALANCER_LABELS = ["grpc.lb.locality", "grpc.lb.backend_service"] as const;

export type OptionalLabel = typeof OPTIONAL_LABELS[number];

/**
 * Checks the names of optional labels.
 *
 * @throws {RangeError} If a name is not an optional label. The message lists the known ones.
 */
export function selectOptionalLabels(names: readonly string[]): ReadonlySet<OptionalLabel> {
  const known: readonly string[] = OPTIONAL_LABELS;
  for (const name of names) {
    if (!known.includes(name)) {
      throw new RangeError(
        `optionalLabels: "${name}" is not an optional label of this plugin; ` +
          `known are ${known.join(", ")}`,
      );
    }
  }
  return new Set(names as readonly OptionalLabel[]);
}

/** The options that are filters of the application. */
export type FilterName =
  | "methodAttributeFilter"
  | "targetAttributeFilter"
  | "targetFilter"
  | "methodFilter";

/**
 * Returns a function that maps a value to its label: the value itself, or `other` if the
 * application's filter hides it.
 *
 * A filter that throws or returns a promise hides the value, with one warning. A mistake in a filter
 * must not lose metrics, and must not show what the filter should hide.
 *
 * @param filter Shows every value if undefined.
 */
export function filteredLabel(
  name: FilterName,
  filter: ((value: string) => boolean) | undefined,
): (value: string) => string {
  if (filter === undefined) return (value) => value;
  return (value) => passes(name, filter, value) ? value : OTHER;
}

/**
 * Returns whether a value passes a filter. Returns undefined and warns once if the filter throws or
 * returns a promise.
 *
 * @param effect What the warning says of the metrics then.
 */
export function passes(
  name: FilterName,
  filter: (value: string) => boolean,
  value: string,
  effect = `gRPC metrics have the label "${OTHER}"`,
): boolean | undefined {
  try {
    const isPassed: unknown = filter(value);
    if (isPromise(isPassed)) {
      onRejection(isPassed, () => {});
      throw new TypeError("it returned a promise, return true or false instead");
    }
    return Boolean(isPassed);
  } catch (error) {
    warnOfThrown(`${effect}, because ${name} fails`, error);
    return undefined;
  }
}
