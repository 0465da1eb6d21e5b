import { status } from "@grpc/grpc-js";
import { warnOnce } from "../warning.ts";
import { OTHER, statusName } from "./labels.ts";

const OK = status.OK;

/** The 17 status codes that gRPC defines, and some more. */
const MAX_STATUSES = 32;

/** Equals the SDK's default limit of label sets per instrument. */
const MAX_KEPT = 2000;

/** One value for each status of a method. Each is created once and shared by all calls. */
export class PerStatus<T> {
  readonly #create: (grpcStatus: string) => T;
  /** For OK, the most frequent code: found without an array lookup. */
  #ok: T | undefined;
  /** For the other codes that gRPC defines, by code. */
  readonly #defined: T[] = [];
  /** For codes that gRPC does not define, by label. */
  readonly #others = new Map<string, T>();
  #size = 0;

  /** @param create Receives the `grpc.status` label. */
  constructor(create: (grpcStatus: string) => T) {
    this.#create = create;
  }

  /**
   * Returns the value for a status code. A peer may send any number as a code, so codes that gRPC
   * does not define share the label `other` once there are {@link MAX_STATUSES} statuses.
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
          `codes. Further codes that gRPC does not define are recorded as grpc.status="${OTHER}"`,
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

/**
 * One value for each method of a channel, and for each custom label of its calls. Each is created
 * once and shared by all calls.
 *
 * At most {@link MAX_KEPT} values are kept. A proxy calls the methods that its own clients name, so
 * their number has no limit. Beyond the limit a value is created for each call, which costs time
 * instead of memory.
 */
export class PerMethod<T> {
  readonly #create: (path: string, customLabel: string) => T;
  /** For calls without a custom label, by path: found with a single lookup. */
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
