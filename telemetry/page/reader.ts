import { type Labels, labelsOf, nameOf, parseNumber, readSamples } from "./exposition.ts";

/** What is known about one method or one target: totals since the process started. */
export interface Counts {
  /** Ended calls by status. */
  readonly statuses: Map<string, number>;
  /** Ended calls that took at most as long, by the bucket's bound in seconds. */
  readonly buckets: Map<number, number>;
  /** Calls or attempts in flight, or open connections. */
  now: number;
  /** Ended calls. */
  calls: number;
  /** The duration of all ended calls. */
  seconds: number;
  /** Bytes of messages. */
  sent: number;
  received: number;
  /** Calls by how they were repeated, and the seconds that they waited in between. */
  retries: number;
  transparentRetries: number;
  hedges: number;
  retryDelay: number;
  /** Connections by what happened to them. */
  connected: number;
  failed: number;
  disconnected: number;
}

/** A field of {@linkcode Counts} that is a number. */
export type Field = { [K in keyof Counts]: Counts[K] extends number ? K : never }[keyof Counts];

/** Creates counts of nothing. */
export function noCounts(): Counts {
  return {
    statuses: new Map(),
    buckets: new Map(),
    now: 0,
    calls: 0,
    seconds: 0,
    sent: 0,
    received: 0,
    retries: 0,
    transparentRetries: 0,
    hedges: 0,
    retryDelay: 0,
    connected: 0,
    failed: 0,
    disconnected: 0,
  };
}

/** The tables of the page, in its order. */
export const TABLES = ["server", "client", "retries", "connections"] as const;
export type Table = typeof TABLES[number];

/** What one reading of `/metrics` says. */
export interface Snapshot {
  /** When it was read, in seconds since any moment. */
  readonly at: number;
  /** The labels of `target_info`, and the gRPC library with its version. */
  readonly target: Labels;
  readonly library: string | undefined;
  /** When the process started, in seconds since 1970. */
  readonly startTime: number | undefined;
  /** Counts by method, or by target for connections. */
  readonly tables: Readonly<Record<Table, ReadonlyMap<string, Counts>>>;
}

/** Adds a sample to the counts of its row: `total` never falls, `raw` is what was printed. */
type Add = (counts: Counts, total: number, raw: number, labels: Labels) => void;

interface Sample {
  readonly table: Table;
  readonly add: Add;
}

/** Describes the samples that make up a table, by the part of their names after the prefix. */
function samples(table: Table, prefix: string, adds: Readonly<Record<string, Add>>) {
  return Object.entries(adds).map(([name, add]): [string, Sample] => [
    `${prefix}_${name}`,
    { table, add },
  ]);
}

const total = (field: Field): Add => (counts, total) => counts[field] += total;
const begin: Add = (counts, _, raw) => counts.now += raw;
const end: Add = (counts, _, raw) => counts.now -= raw;

const addCalls: Add = (counts, total, _, labels) => {
  counts.calls += total;
  increase(counts.statuses, labels.get("grpc_status") ?? "", total);
};
const addBucket: Add = (counts, total, _, labels) => {
  increase(counts.buckets, parseNumber(labels.get("le") ?? ""), total);
};
const BYTES = "total_compressed_message_size_bytes";

/** Every sample that the page shows. */
const SAMPLES: ReadonlyMap<string, Sample> = new Map([
  ...samples("server", "grpc_server_call", {
    started_total: begin,
    duration_seconds_count(...args) {
      addCalls(...args);
      end(...args);
    },
    duration_seconds_sum: total("seconds"),
    duration_seconds_bucket: addBucket,
    [`sent_${BYTES}_sum`]: total("sent"),
    [`rcvd_${BYTES}_sum`]: total("received"),
  }),
  ...samples("client", "grpc_client", {
    attempt_started_total: begin,
    attempt_duration_seconds_count: end,
    call_duration_seconds_count: addCalls,
    call_duration_seconds_sum: total("seconds"),
    call_duration_seconds_bucket: addBucket,
    [`attempt_sent_${BYTES}_sum`]: total("sent"),
    [`attempt_rcvd_${BYTES}_sum`]: total("received"),
  }),
  ...samples("retries", "grpc_client_call", {
    retries_sum: total("retries"),
    transparent_retries_sum: total("transparentRetries"),
    hedges_sum: total("hedges"),
    retry_delay_seconds_sum: total("retryDelay"),
  }),
  ...samples("connections", "grpc_subchannel", {
    open_connections: begin,
    connection_attempts_succeeded_total: total("connected"),
    connection_attempts_failed_total: total("failed"),
    disconnections_total: total("disconnected"),
  }),
]);

const START_TIME = "process_start_time_seconds";
const TARGET = "target_info";

/** The families that the page reads. */
export const FAMILIES: readonly string[] = [
  ...new Set([...SAMPLES.keys()].map((name) => name.replace(/_(count|sum|bucket)$/, ""))),
  START_TIME,
  TARGET,
];

interface Series {
  readonly sample: Sample;
  readonly labels: Labels;
  /** The value that was read last, and in which reading. */
  value: number;
  reading: number;
  /** What the counter had reached before it was reset. */
  before: number;
}

/** Reads the metrics of one process, once or again and again. */
export class MetricsReader {
  readonly #series = new Map<string, Series>();
  #reading = 0;
  #target: Labels = new Map();
  #startTime: number | undefined;

  /** Adds a slice of whole lines to the current reading. */
  add(text: string): void {
    readSamples(text, (series, value) => this.#read(series, value));
  }

  /**
   * Ends the current reading.
   *
   * @param at when it was read, in seconds since any moment
   */
  end(at: number): Snapshot {
    const tables = {
      server: new Map<string, Counts>(),
      client: new Map<string, Counts>(),
      retries: new Map<string, Counts>(),
      connections: new Map<string, Counts>(),
    };
    let library: string | undefined;
    for (const { sample, labels, value, before, reading } of this.#series.values()) {
      const rows = tables[sample.table];
      const row = labels.get(sample.table === "connections" ? "grpc_target" : "grpc_method") ?? "";
      let counts = rows.get(row);
      if (counts === undefined) rows.set(row, counts = noCounts());
      // A counter keeps its total when a process starts again. What is in flight ends with it.
      sample.add(counts, before + value, reading === this.#reading ? value : 0, labels);
      const scope = labels.get("otel_scope_name");
      if (scope !== undefined) library ??= `${scope} ${labels.get("otel_scope_version") ?? ""}`;
    }
    this.#reading++;
    return { at, target: this.#target, library, startTime: this.#startTime, tables };
  }

  #read(key: string, value: number): void {
    const name = nameOf(key);
    if (name === START_TIME) this.#startTime = value;
    if (name === TARGET) this.#target = labelsOf(key);
    const sample = SAMPLES.get(name);
    if (sample === undefined) return;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { sample, labels: labelsOf(key), value: 0, reading: 0, before: 0 };
      this.#series.set(key, series);
    }
    // As in PromQL's rate(): a counter that falls began again at 0.
    if (value < series.value) series.before += series.value;
    series.value = value;
    series.reading = this.#reading;
  }
}

function increase<K>(map: Map<K, number>, key: K, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by);
}
