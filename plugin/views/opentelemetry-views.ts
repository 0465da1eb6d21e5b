/**
 * Views that give the durations of calls the names of OpenTelemetry's conventions for RPC, version
 * 1.44.0. They follow its page on the compatibility with gRPC.
 *
 * @module
 */
import type { Attributes } from "@opentelemetry/api";
import { SCOPE } from "../metrics/definitions.ts";
import { OTHER } from "../metrics/labels.ts";
import { IGNORES_CONTEXT } from "../metrics/sdk-storage.ts";
import { serverAddress } from "./server-address.ts";

/** A view, in the form that the SDK's `MeterProvider` takes in `views`. */
export interface OpenTelemetryView {
  readonly instrumentName: string;
  readonly meterName: string;
  readonly name?: string;
  readonly description?: string;
  readonly aggregation?: {
    /** `AggregationType.EXPLICIT_BUCKET_HISTOGRAM` of the SDK. */
    readonly type: 4;
    readonly options: { readonly boundaries: number[] };
  };
  readonly attributesProcessors?: { process(attributes: Attributes): Attributes }[];
}

/** Configures {@link openTelemetryViews}. */
export interface OpenTelemetryViewsOptions {
  /** Whether the metrics of gRPC stay as well. Defaults to false. */
  readonly keep?: boolean;
}

/** The bucket bounds of the two metrics, in seconds. */
const BOUNDS_SECONDS: readonly number[] = [
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
];

/** The statuses that count as errors of a server. On a client, all but OK do. */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/**
 * Returns views for the SDK's `MeterProvider` that export `grpc.client.call.duration` and
 * `grpc.server.call.duration` as `rpc.client.call.duration` and `rpc.server.call.duration`, with the
 * labels and bucket bounds of OpenTelemetry's conventions for RPC 1.44.0. Each call is still recorded
 * once. gRPC's other metrics have no counterpart there and stay as they are.
 *
 * An instrument that a view selects has the aggregation of that view, whatever a reader prefers.
 *
 * @example
 * ```ts
 * const meterProvider = new MeterProvider({ readers, views: openTelemetryViews({ keep: true }) });
 * ```
 */
export function openTelemetryViews(
  { keep = false }: OpenTelemetryViewsOptions = {},
): OpenTelemetryView[] {
  const renamed = [
    view("client", "outgoing", (status) => status !== "OK"),
    view("server", "incoming", (status) => SERVER_ERRORS.has(status)),
  ];
  if (!keep) return renamed;
  const kept = renamed.map(({ instrumentName, meterName }) => ({ instrumentName, meterName }));
  return [...renamed, ...kept];
}

function view(
  side: "client" | "server",
  direction: string,
  isError: (status: string) => boolean,
): OpenTelemetryView {
  const processor = {
    process: (attributes: Attributes) => renamedLabels(attributes, isError),
    [IGNORES_CONTEXT]: true,
  };
  return {
    instrumentName: `grpc.${side}.call.duration`,
    meterName: SCOPE,
    name: `rpc.${side}.call.duration`,
    description: `Measures the duration of an ${direction} Remote Procedure Call (RPC).`,
    aggregation: { type: 4, options: { boundaries: [...BOUNDS_SECONDS] } },
    attributesProcessors: [processor],
  };
}

/** Labels that the application adds stay. The series over the cardinality limit has none of gRPC's. */
function renamedLabels(attributes: Attributes, isError: (status: string) => boolean): Attributes {
  const { "grpc.method": method, "grpc.status": status, "grpc.target": target, ...others } =
    attributes;
  if (typeof method !== "string" || typeof status !== "string") return attributes;
  return {
    ...others,
    "rpc.system.name": "grpc",
    "rpc.method": shown(method),
    "rpc.response.status_code": shown(status),
    ...(isError(status) && { "error.type": shown(status) }),
    ...(typeof target === "string" && target !== OTHER && serverAddress(target)),
  };
}

function shown(value: string): string {
  return value === OTHER ? "_OTHER" : value;
}
