import { Metadata } from "@grpc/grpc-js";
import type { TextMapGetter, TextMapSetter } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http2";

/** Keys of binary headers end so; their values are Base64 on the wire (gRPC over HTTP/2). */
const BINARY_SUFFIX = "-bin";

/** Lets a propagator add to a client's metadata. It gives the values of binary keys in Base64. */
export const metadataSetter: TextMapSetter<Metadata> = {
  set(metadata, key, value) {
    metadata.set(
      key,
      key.endsWith(BINARY_SUFFIX) ? Buffer.from(value, "base64") : value,
    );
  },
};

/** Lets a propagator read a server's request headers; of several values the last one counts. */
export const headersGetter: TextMapGetter<IncomingHttpHeaders> = {
  keys: (headers) => Object.keys(headers),
  get(headers, key) {
    const value = headers[key.toLowerCase()];
    const text = Array.isArray(value) ? value.at(-1) : value;
    // A client may send the values of one binary key in a list.
    return key.endsWith(BINARY_SUFFIX) ? text?.split(",").at(-1)?.trim() : text;
  },
};
