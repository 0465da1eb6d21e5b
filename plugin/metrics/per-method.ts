import { status } from "@grpc/grpc-js";
import { warnOnce } from "../warning.ts";

/**
 * The `grpc.method` label of a method that nobody registered, or that a filter demotes, and the
 * `grpc.status` label of codes that are too many.
 */
export const OTHER = "other";

const OK = status.OK;

/** What belongs to each status of a method, made once and reused by every call. */
export class PerStatus<T> {
  readonly #create: (grpcStatus: string) => T;
  /** Of the code that most calls end with: it is at hand without an array. */
  #ok: T | undefined;
  /** Of the other codes that gRPC defines, by code. */
  readonly #defined: T[] = [];
  /** Of other codes, by label. */
  readonly #others = new Map<string, T>();
  #size = 0;

  /** @param create Is given the `grpc.status` label. */
  constructor(create: (grpcStatus: string) => T) {
    this.#create = create;
  }

  /**
   * A peer may send any number as a code: those beyond a bound that gRPC does not define have the
   * label `other` in common.
   */
  get(statusCode: number): T {
    if (statusCode === OK) return this.#ok ??= this.#add("OK");
    return this.#defined[statusCode] ?? this.#find(statusName(statusCode));
  }

  #find(label: string): T {
    const code = status[label as keyof typeof status];
    if (code !== undefined) return this.#defined[code] ??= this.#add(label);
    const known = this.#others.get(label);
    if (known !== undefined) return known;
    if (this.#size >= MAX_STATUSES && label !== OTHER) {
      warnOnce(
        `gRPC metrics: calls of a method end with more than ${MAX_STATUSES} different status ` +
          `codes. Further ones that gRPC does not define are recorded as grpc.status="${OTHER}"`,
      );
      return this.#find(OTHER);
    }
    const added = this.#add(label);
    this.#others.set(label, added);
    return added;
  }

  #add(label: string): T {
    this.#size++;
    return this.#create(label);
  }
}

/** The 17 that gRPC defines and some more. */
const MAX_STATUSES = 32;

/**
 * The `grpc.status` label of a status code: the code's name (`"OK"`, `"CANCELLED"`), or `CODE(17)`
 * for a number that gRPC does not define, as the Go plugin prints it (gRFC A66). What is no code at
 * all is `UNKNOWN` (gRPC over HTTP/2).
 */
export function statusName(code: number): string {
  const isCode = Number.isInteger(code) && code >= 0;
  return isCode ? status[code] ?? `CODE(${code})` : "UNKNOWN";
}

/**
 * What belongs to each method of a channel or server, and to each custom label of its calls, made
 * once and reused by every call.
 *
 * How many are kept is bounded. A proxy may call what its own clients name; what is beyond the bound
 * is made anew for each call, and costs time instead of memory.
 */
export class PerMethod<T> {
  readonly #create: (path: string, customLabel: string) => T;
  /** By path: of calls without a custom label, which are found with one look. */
  readonly #methods = new Map<string, T>();
  /** By custom label, then by path. */
  readonly #labelled = new Map([["", this.#methods]]);
  #size = 0;

  constructor(create: (path: string, customLabel: string) => T) {
    this.#create = create;
  }

  /** @param path The method's path, such as `/package.Service/Method`. */
  get(path: string, customLabel = ""): T {
    const methods = customLabel === "" ? this.#methods : this.#labelled.get(customLabel);
    return methods?.get(path) ?? this.#add(path, customLabel);
  }

  #add(path: string, customLabel: string): T {
    const created = this.#create(path, customLabel);
    if (this.#size >= MAX_KEPT) return created;
    this.#size++;
    let methods = this.#labelled.get(customLabel);
    if (methods === undefined) this.#labelled.set(customLabel, methods = new Map());
    methods.set(path, created);
    return created;
  }
}

/** The SDK's own default limit of label sets per instrument. */
const MAX_KEPT = 2000;
