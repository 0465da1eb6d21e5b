/**
 * Converts what the plugin recorded to the form of the Go plugin's recorded cases.
 *
 * @module
 */
import type { Attributes } from "@opentelemetry/api";
import type { Histogram } from "@opentelemetry/sdk-metrics";
import type { Recording } from "../support/series.ts";
import type { Gained } from "./recorded.ts";

/** Counts and sums of all series at some time, by instrument and attributes. */
export type Snapshot = ReadonlyMap<string, Point>;

interface Point {
  readonly instrument: string;
  readonly attributes: Attributes;
  readonly count: number;
  /** The sum in bytes or seconds; 0 for a counter. */
  readonly sum: number;
}

/** Takes a snapshot of a recording. */
export async function snapshot(recording: Recording): Promise<Snapshot> {
  const points = new Map<string, Point>();
  for (
    const { descriptor: { name: instrument }, dataPoints } of await recording
      .metrics()
  ) {
    for (const { attributes, value } of dataPoints) {
      const { count, sum = 0 } = typeof value === "number"
        ? { count: value, sum: 0 }
        : value as Histogram;
      points.set(`${instrument} ${JSON.stringify(attributes)}`, {
        instrument,
        attributes,
        count,
        sum,
      });
    }
  }
  return points;
}

interface MutableGained {
  "grpc.method": string;
  "grpc.target"?: string;
  started: number;
  ended: Record<string, Record<string, number>>;
}

/**
 * Returns how much one side's series of gRFC A66 grew between two snapshots.
 *
 * @throws {Error} if the three histograms of a method and status do not have the same count.
 */
export function gained(side: "client" | "server", before: Snapshot, after: Snapshot): Gained[] {
  const exchange = side === "client" ? "grpc.client.attempt" : "grpc.server.call";
  const unit = side === "client" ? "attempts" : "calls";
  const fields: Record<string, string> = {
    [`${exchange}.duration`]: unit,
    [`${exchange}.sent_total_compressed_message_size`]: "sent_bytes",
    [`${exchange}.rcvd_total_compressed_message_size`]: "rcvd_bytes",
    ...(side === "client" ? { "grpc.client.call.duration": "calls" } : {}),
  };
  const all = new Map<string, MutableGained>();
  const entries = new Map<string, number[]>();

  for (const [key, { instrument, attributes, count, sum }] of after) {
    const counted = count - (before.get(key)?.count ?? 0);
    if (counted === 0) continue;
    const method = String(attributes["grpc.method"]);
    const target = attributes["grpc.target"] as string | undefined;
    const id = `${method} ${target}`;
    const field = fields[instrument];
    if (field === undefined && instrument !== `${exchange}.started`) continue;
    let series = all.get(id);
    if (series === undefined) {
      series = {
        "grpc.method": method,
        ...(target === undefined ? {} : { "grpc.target": target }),
        started: 0,
        ended: {},
      };
      all.set(id, series);
    }
    if (field === undefined) {
      series.started += counted;
      continue;
    }
    const status = String(attributes["grpc.status"]);
    const ended = series.ended[status] ??= {};
    const isSize = field.endsWith("bytes");
    ended[field] = isSize ? sum - (before.get(key)?.sum ?? 0) : counted;
    if (instrument !== "grpc.client.call.duration") {
      const counts = entries.get(`${id} ${status}`) ?? [];
      entries.set(`${id} ${status}`, [...counts, counted]);
    }
  }

  for (const [id, counts] of entries) {
    if (counts.length !== 3 || new Set(counts).size !== 1) {
      throw new Error(`${side} ${id}: different counts in its histograms: ${counts}`);
    }
  }
  return [...all.values()];
}
