import { status } from "@grpc/grpc-js";

/** The `grpc.method` label of a method that nobody registered, or that a filter demotes. */
export const OTHER = "other";

/** What belongs to each status of a method, made once and reused by every call. */
export class PerStatus<T> {
  readonly #create: (grpcStatus: string) => T;
  readonly #statuses = new Map<number, T>();

  /** @param create Is given the `grpc.status` label. */
  constructor(create: (grpcStatus: string) => T) {
    this.#create = create;
  }

  get(statusCode: number): T {
    let status = this.#statuses.get(statusCode);
    if (status === undefined) {
      status = this.#create(statusName(statusCode));
      if (this.#statuses.size < MAX_CODES) this.#statuses.set(statusCode, status);
    }
    return status;
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
