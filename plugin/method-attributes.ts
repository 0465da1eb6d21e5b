import { status } from "@grpc/grpc-js";
import type { Attributes } from "@opentelemetry/api";

/** The attribute objects of one method: of what started, and of what ended with each status. */
export class MethodAttributes {
  readonly started: Attributes;
  readonly #ended = new Map<number, Attributes>();

  constructor(started: Attributes) {
    this.started = started;
  }

  /** The attributes with `grpc.status` added. */
  ended(statusCode: number): Attributes {
    let attributes = this.#ended.get(statusCode);
    if (attributes === undefined) {
      attributes = { ...this.started, "grpc.status": statusName(statusCode) };
      this.#ended.set(statusCode, attributes);
    }
    return attributes;
  }
}

/**
 * The `grpc.status` label of a status code: the code's name (`"OK"`, `"CANCELLED"`), or `CODE(17)`
 * for a number that gRPC does not define, as the Go plugin prints it (gRFC A66).
 */
export function statusName(code: number): string {
  return status[code] ?? `CODE(${code})`;
}
