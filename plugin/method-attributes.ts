import { status } from "@grpc/grpc-js";
import type { Attributes } from "@opentelemetry/api";

/** The `grpc.method` label of a method that nobody registered, or that a filter demotes. */
export const OTHER = "other";

/** The attribute objects of one method: of what started, and of what ended with each status. */
export class MethodAttributes {
  readonly started: Attributes;
  readonly #whenEnded: Attributes;
  readonly #ended = new Map<number, Attributes>();

  /** @param whenEnded Attributes that only what ended has, besides `grpc.status`. */
  constructor(started: Attributes, whenEnded: Attributes = {}) {
    this.started = started;
    this.#whenEnded = whenEnded;
  }

  /** The attributes of what ended with a status. */
  ended(statusCode: number): Attributes {
    let attributes = this.#ended.get(statusCode);
    if (attributes === undefined) {
      attributes = {
        ...this.started,
        "grpc.status": statusName(statusCode),
        ...this.#whenEnded,
      };
      if (this.#ended.size < MAX_CODES) this.#ended.set(statusCode, attributes);
    }
    return attributes;
  }
}

/** The 17 that gRPC defines and some more: a peer may send any number. */
const MAX_CODES = 32;

/**
 * The `grpc.status` label of a status code: the code's name (`"OK"`, `"CANCELLED"`), or `CODE(17)`
 * for a number that gRPC does not define, as the Go plugin prints it (gRFC A66).
 */
export function statusName(code: number): string {
  return status[code] ?? `CODE(${code})`;
}

/**
 * What belongs to each method of a channel or server, made once and reused by every call.
 *
 * The number of methods kept is bounded. A proxy may call what its own clients name; what is beyond
 * the bound is made anew for each call, and costs time instead of memory.
 */
export class PerMethod<T> {
  readonly #create: (path: string) => T;
  readonly #methods = new Map<string, T>();

  constructor(create: (path: string) => T) {
    this.#create = create;
  }

  /** @param path The method's path, such as `/package.Service/Method`. */
  get(path: string): T {
    let method = this.#methods.get(path);
    if (method === undefined) {
      method = this.#create(path);
      if (this.#methods.size < MAX_METHODS) this.#methods.set(path, method);
    }
    return method;
  }
}

/** The SDK's own default limit of label sets per instrument. */
const MAX_METHODS = 2000;
