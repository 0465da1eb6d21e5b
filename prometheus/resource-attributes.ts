import type { Attributes } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import { log } from "./log.ts";

/**
 * The attributes of a resource, some of which may resolve late or never: a cloud detector waits for
 * a metadata server that does not answer.
 */
export class ResourceAttributes {
  readonly #resource: Resource;
  readonly #settled: Promise<unknown>;
  readonly #known = new Map<string, Attributes[string]>();
  readonly #pending = new Set<string>();
  #waited = false;
  #attributes: Attributes | undefined;

  constructor(resource: Resource) {
    this.#resource = resource;
    const pending: PromiseLike<unknown>[] = [];
    if (resource.asyncAttributesPending) {
      for (const [key, value] of resource.getRawAttributes()) {
        // As in the SDK, the first attribute of a name counts.
        if (this.#known.has(key) || this.#pending.has(key)) continue;
        if (isPromise(value)) {
          this.#pending.add(key);
          pending.push(value.then((late) => this.#add(key, late), () => this.#add(key, undefined)));
        } else this.#known.set(key, value);
      }
    }
    this.#settled = Promise.all(pending);
  }

  /**
   * Returns the attributes that are known. Waits for the others once; a later call returns at once,
   * with those that have resolved since.
   *
   * @param limitMs how long to wait at most, in milliseconds
   */
  async get(limitMs: number): Promise<Attributes> {
    // The resource's own attributes are one object for all collections.
    if (!this.#resource.asyncAttributesPending) return this.#resource.attributes;
    if (!this.#waited) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise((resolve) => timer = setTimeout(resolve, limitMs).unref());
      await Promise.race([this.#settled, limit]);
      clearTimeout(timer);
      this.#waited = true;
      if (this.#pending.size > 0) {
        const names = [...this.#pending].join(", ");
        log.warn(`Metrics are shown without resource attributes that do not resolve: ${names}`);
      }
    }
    return this.#attributes ??= Object.fromEntries(this.#known);
  }

  #add(key: string, value: Attributes[string]): void {
    this.#pending.delete(key);
    if (value !== undefined) this.#known.set(key, value);
    this.#attributes = undefined;
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value;
}
