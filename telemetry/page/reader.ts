import { type Labels, labelsOf, nameOf, parseNumber, seriesOf } from "./exposition.ts";

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
  /** Attempts that repeated a call, the seconds that calls waited in between, and those calls. */
  retries: number;
  transparentRetries: number;
  hedges: number;
  retryDelay: number;
  delayed: number;
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
    delayed: 0,
    connected: 0,
    failed: 0,
    disconnected: 0,
  };
}

/** The tables of the page, in its order. */
export const TABLES = ["server", "client", "retries", "connections"] as const;
export type Table = typeof TABLES[number];

function emptyTables<T>(): Record<Table, Map<string, T>> {
  return { server: new Map(), client: new Map(), retries: new Map(), connections: new Map() };
}

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
    retry_delay_seconds_count: total("delayed"),
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

/** The counts of one row, and the series that they are made of. */
interface Row {
  readonly series: Series[];
  counts: Counts;
  /** Whether a series has changed since the counts were made. */
  isStale: boolean;
}

interface Series {
  /** Name and labels, as printed. */
  readonly key: string;
  readonly name: string;
  readonly labels: Labels;
  /** How it is added to its row; undefined for what the page does not show. */
  readonly add: Add | undefined;
  readonly row: Row | undefined;
  value: number;
  /** Whether it is in the current reading. */
  isPrinted: boolean;
  /** What the counter had reached before it was reset. */
  before: number;
}

/**
 * Reads the metrics of one process, once or again and again. Readings mostly have the same series in
 * the same order, so the next series is guessed, and only rows that changed are counted again.
 */
export class MetricsReader {
  readonly #series = new Map<string, Series>();
  readonly #rows: Readonly<Record<Table, Map<string, Row>>> = emptyTables();
  #printed: Series[] = [];
  #next: Series[] = [];
  #target: Labels = new Map();
  #library: string | undefined;
  #startTime: number | undefined;

  /** Adds a slice of whole lines to the current reading. */
  add(text: string): void {
    for (const line of text.split("\n")) this.#readLine(line);
  }

  /**
   * Ends the current reading.
   *
   * @param at when it was read, in seconds since any moment
   */
  end(at: number): Snapshot {
    // What a new process does not print yet is no longer in flight.
    for (const series of this.#printed) {
      if (!series.isPrinted && series.row !== undefined) series.row.isStale = true;
    }
    const tables = emptyTables<Counts>();
    for (const table of TABLES) {
      for (const [name, row] of this.#rows[table]) {
        if (row.isStale) row.counts = countsOf(row);
        row.isStale = false;
        tables[table].set(name, row.counts);
      }
    }
    this.#printed = this.#next;
    this.#next = [];
    for (const series of this.#printed) series.isPrinted = false;
    return { at, target: this.#target, library: this.#library, startTime: this.#startTime, tables };
  }

  #readLine(line: string): void {
    let series = this.#printed[this.#next.length];
    if (series === undefined || !line.startsWith(series.key) || line[series.key.length] !== " ") {
      const key = seriesOf(line);
      if (key === "") return;
      series = this.#series.get(key) ?? this.#newSeries(key);
      if (series.row !== undefined) series.row.isStale = true;
    }
    this.#next.push(series);
    series.isPrinted = true;
    const value = parseNumber(line.slice(series.key.length + 1));
    if (series.name === TARGET) this.#target = series.labels;
    if (series.name === START_TIME) this.#startTime = value;
    if (value === series.value) return;
    // As in PromQL's rate(): a counter that falls began again at 0.
    if (value < series.value) series.before += series.value;
    series.value = value;
    if (series.row !== undefined) series.row.isStale = true;
  }

  #newSeries(key: string): Series {
    const name = nameOf(key);
    const sample = SAMPLES.get(name);
    const isShown = sample !== undefined || name === TARGET;
    const labels: Labels = isShown ? labelsOf(key) : new Map();
    const row = sample && this.#row(sample.table, labels);
    const series = { key, name, labels, add: sample?.add, row, ...NOTHING_READ };
    row?.series.push(series);
    this.#series.set(key, series);
    const library = labels.get("otel_scope_name");
    if (row !== undefined && library !== undefined) {
      this.#library ??= `${library} ${labels.get("otel_scope_version") ?? ""}`;
    }
    return series;
  }

  #row(table: Table, labels: Labels): Row {
    const name = labels.get(table === "connections" ? "grpc_target" : "grpc_method") ?? "";
    let row = this.#rows[table].get(name);
    if (row === undefined) {
      row = { series: [], counts: noCounts(), isStale: true };
      this.#rows[table].set(name, row);
    }
    return row;
  }
}

const NOTHING_READ = { value: 0, isPrinted: false, before: 0 };

function countsOf({ series }: Row): Counts {
  const counts = noCounts();
  for (const { add, before, value, isPrinted, labels } of series) {
    add?.(counts, before + value, isPrinted ? value : 0, labels);
  }
  return counts;
}

function increase<K>(map: Map<K, number>, key: K, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by);
}
