import type { Metadata } from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { Context, TextMapGetter, TextMapPropagator, TextMapSetter } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";
import { onRejection } from "../../log/rejection.ts";
import { warnOfThrown } from "../warning.ts";

/** The suffix of binary headers. Their values are Base64 on the wire (gRPC over HTTP/2). */
const BINARY_SUFFIX = "-bin";

/** Lets a propagator write to a client's metadata. It passes binary values in Base64. */
const metadataSetter: TextMapSetter<Metadata> = {
  set(metadata, key, value) {
    metadata.set(
      key,
      key.endsWith(BINARY_SUFFIX) ? Buffer.from(value, "base64") : value,
    );
  },
};

/** Lets a propagator read a server's request headers. The last of several values counts. */
const headersGetter: TextMapGetter<IncomingHttpHeaders> = {
  keys: (headers) => Object.keys(headers),
  get(headers, key) {
    const value = headers[key.toLowerCase()];
    const text = Array.isArray(value) ? value.at(-1) : value;
    // A client may send several binary values in one header, separated by commas.
    return key.endsWith(BINARY_SUFFIX) ? text?.split(",").at(-1)?.trim() : text;
  },
};

/**
 * Passes span contexts from clients to servers with the application's propagator. An error of the
 * propagator becomes a warning, and the spans are not joined.
 */
export class Propagation {
  readonly #propagator: TextMapPropagator;

  constructor(propagator: TextMapPropagator) {
    this.#propagator = propagator;
  }

  /** Returns a copy of the metadata with the context added, or the same metadata on failure. */
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

  /** Returns what the client sent, such as its span and baggage. Returns the root on failure. */
  extract(headers: IncomingHttpHeaders): Context {
    try {
      const extracted: unknown = this.#propagator.extract(ROOT_CONTEXT, headers, headersGetter);
      if (isContext(extracted)) return extracted;
      onRejection(extracted, () => {});
      throw new TypeError("extract returned no context");
    } catch (error) {
      warnOfPropagator(error);
      return ROOT_CONTEXT;
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
