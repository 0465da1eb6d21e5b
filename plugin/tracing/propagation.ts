import type { Metadata } from "@grpc/grpc-js";
import type { Context, TextMapPropagator } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";
import { headersGetter, metadataSetter } from "./carriers.ts";
import { onRejection } from "../../log/rejection.ts";
import { warnOfThrown } from "../warning.ts";

/**
 * Passes the contexts of spans from clients to servers, with the application's propagator. What that
 * throws ends here, as a warning: the spans are not joined then.
 */
export class Propagation {
  readonly #propagator: TextMapPropagator;

  constructor(propagator: TextMapPropagator) {
    this.#propagator = propagator;
  }

  /** Adds a context to metadata. @returns A copy, or the same metadata if that fails. */
  inject(context: Context, metadata: Metadata): Metadata {
    try {
      const outgoing = metadata.clone();
      const returned: unknown = this.#propagator.inject(context, outgoing, metadataSetter);
      onRejection(returned, warnOfPropagator);
      return outgoing;
    } catch (error) {
      warnOfPropagator(error);
      return metadata;
    }
  }

  /** Reads a client's context from its headers. @returns The given context if there is none. */
  extract(context: Context, headers: IncomingHttpHeaders): Context {
    try {
      const extracted: unknown = this.#propagator.extract(context, headers, headersGetter);
      if (isContext(extracted)) return extracted;
      onRejection(extracted, () => {});
      throw new TypeError("extract returned no context");
    } catch (error) {
      warnOfPropagator(error);
      return context;
    }
  }
}

function isContext(value: unknown): value is Context {
  const { getValue, setValue } = Object(value) as Partial<Context>;
  return typeof getValue === "function" && typeof setValue === "function";
}

function warnOfPropagator(thrown: unknown): void {
  warnOfThrown("gRPC spans are not joined, because textMapPropagator fails", thrown);
}
