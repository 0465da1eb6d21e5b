// Decodes Prometheus' protobuf format.

import { loadSync } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

/** A decoded `io.prometheus.client.Metric`. Fields that are not on the wire are missing. */
export interface DecodedMetric {
  readonly label?: readonly { readonly name: string; readonly value: string }[];
  readonly gauge?: { readonly value: number };
  readonly counter?: { readonly value: number; readonly created_timestamp?: Timestamp };
  readonly histogram?: DecodedHistogram;
}

export interface DecodedHistogram {
  readonly sample_count: number;
  readonly sample_sum: number;
  readonly bucket?: readonly { readonly cumulative_count: number; readonly upper_bound: number }[];
  readonly created_timestamp?: Timestamp;
  readonly schema?: number;
  readonly zero_threshold?: number;
  readonly zero_count?: number;
  readonly negative_span?: readonly Span[];
  readonly negative_delta?: readonly number[];
  readonly positive_span?: readonly Span[];
  readonly positive_delta?: readonly number[];
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** A decoded `io.prometheus.client.MetricFamily`. */
export interface DecodedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metric: readonly DecodedMetric[];
}

const definition = loadSync(fileURLToPath(new URL("./fixtures/metrics.proto", import.meta.url)), {
  keepCase: true,
  longs: Number,
  enums: String,
});
const { Decode } = definition["io.prometheus.client.Decoder"] as ServiceDefinition;

/** Decodes messages of `io.prometheus.client.MetricFamily`, each of which comes after its length. */
export function decodeFamilies(bytes: Uint8Array): DecodedFamily[] {
  const families: DecodedFamily[] = [];
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    for (let shift = 0;; shift += 7) {
      const byte = bytes[at++]!;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const message = Buffer.from(bytes.subarray(at, at += length));
    if (message.length < length) throw new RangeError("the last message is cut off");
    families.push(Decode!.requestDeserialize(message) as DecodedFamily);
  }
  return families;
}
