import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";

/** Scrapes a URL, and returns the text. Fails unless the status is 200. */
export async function scrape(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, { headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

/** Printed values by printed series, `name{labels}`. */
export type Series = Record<string, string>;

/** Stands for a value that depends on time. */
const TIMED = "(time)";

/** Returns the gRPC series of a scrape. Values that depend on time are replaced. */
export function grpcSeries(text: string): Series {
  const series: Series = {};
  for (const [, key = "", value = ""] of text.matchAll(/^(grpc_\S+) (\S+)$/gm)) {
    assert.ok(!(key in series), `${key} is printed twice`);
    series[key] = isTimed(key) ? TIMED : value;
  }
  return series;
}

/** Whether a value depends on time: sums of durations and all their buckets but the last. */
function isTimed(key: string): boolean {
  return /_duration_seconds_(sum|bucket)\{/.test(key) && !key.includes('le="+Inf"');
}

/** Calls of one method that ended with the same status. */
export interface EndedCalls {
  readonly method: string;
  readonly status: string;
  readonly count: number;
  /** The size of all requests of one call. */
  readonly requestBytes: number;
  /** The size of all responses of one call. */
  readonly responseBytes: number;
}

/** The series of a server whose calls have started, and perhaps ended. */
export function startedSeries(calls: readonly Pick<EndedCalls, "method" | "count">[]): Series {
  return Object.fromEntries(calls.map(({ method, count }) => [
    `grpc_server_call_started_total${text({ grpc_method: fullMethod(method) })}`,
    `${count}`,
  ]));
}

/** All series of a server that served these calls, one entry for each method. */
export function serverSeries(ended: readonly EndedCalls[]): Series {
  const series = startedSeries(ended);
  for (const calls of ended) {
    const labels = { grpc_method: fullMethod(calls.method), grpc_status: calls.status };
    Object.assign(
      series,
      durations("grpc_server_call_duration_seconds", labels, calls),
      sizes("grpc_server_call_rcvd", labels, calls, calls.requestBytes),
      sizes("grpc_server_call_sent", labels, calls, calls.responseBytes),
    );
  }
  return series;
}

/** All series of a client that made these calls to a target, each in one attempt. */
export function clientSeries(target: string, ended: readonly EndedCalls[]): Series {
  const series: Series = {};
  for (const calls of ended) {
    const started = { grpc_method: fullMethod(calls.method), grpc_target: target };
    const labels = { ...started, grpc_status: calls.status };
    series[`grpc_client_attempt_started_total${text(started)}`] = `${calls.count}`;
    Object.assign(
      series,
      durations("grpc_client_attempt_duration_seconds", labels, calls),
      durations("grpc_client_call_duration_seconds", labels, calls),
      sizes("grpc_client_attempt_rcvd", labels, calls, calls.responseBytes),
      sizes("grpc_client_attempt_sent", labels, calls, calls.requestBytes),
    );
  }
  return series;
}

function fullMethod(method: string): string {
  return `grpc.examples.echo.Echo/${method}`;
}

type Labels = Record<string, string>;

/** Formats labels as Go does: in alphabetical order, with `le` last. */
function text({ le, ...others }: Labels): string {
  const labels = Object.entries({
    ...others,
    otel_scope_name: "grpc-js",
    otel_scope_version: grpcJs.version,
  }).sort(([a], [b]) => a < b ? -1 : 1);
  if (le !== undefined) labels.push(["le", le]);
  return `{${labels.map(([name, value]) => `${name}="${value}"`).join(",")}}`;
}

/** Bucket bounds in seconds and bytes, in Go's format `%g`. */
const LATENCY_BOUNDS =
  ("0 1e-05 5e-05 0.0001 0.0003 0.0006 0.0008 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01 0.013 " +
    "0.016 0.02 0.025 0.03 0.04 0.05 0.065 0.08 0.1 0.13 0.16 0.2 0.25 0.3 0.4 0.5 0.65 0.8 1 2 5 " +
    "10 20 50 100").split(" ");
const SIZE_BOUNDS =
  ("0 1024 2048 4096 16384 65536 262144 1.048576e+06 4.194304e+06 1.6777216e+07 6.7108864e+07 " +
    "2.68435456e+08 1.073741824e+09 4.294967296e+09").split(" ");

function durations(name: string, labels: Labels, { count }: EndedCalls): Series {
  const buckets = LATENCY_BOUNDS.map((le) => [`${name}_bucket${text({ ...labels, le })}`, TIMED]);
  return {
    ...Object.fromEntries(buckets),
    [`${name}_bucket${text({ ...labels, le: "+Inf" })}`]: `${count}`,
    [`${name}_sum${text(labels)}`]: TIMED,
    [`${name}_count${text(labels)}`]: `${count}`,
  };
}

function sizes(prefix: string, labels: Labels, { count }: EndedCalls, bytes: number): Series {
  const name = `${prefix}_total_compressed_message_size_bytes`;
  const buckets = SIZE_BOUNDS.map((
    le,
  ) => [`${name}_bucket${text({ ...labels, le })}`, bytes <= Number(le) ? `${count}` : "0"]);
  return {
    ...Object.fromEntries(buckets),
    [`${name}_bucket${text({ ...labels, le: "+Inf" })}`]: `${count}`,
    [`${name}_sum${text(labels)}`]: `${count * bytes}`,
    [`${name}_count${text(labels)}`]: `${count}`,
  };
}
