import type { Field, Snapshot, Table } from "./reader.ts";
import type { Figures } from "./figures.ts";

/** A column of numbers. */
export interface Column {
  readonly heading: string;
  /** Whether the numbers are per second, unless totals are shown. */
  readonly isRate: boolean;
  /** Returns the number that the curve shows. */
  value(figures: Figures): number;
  /** Returns the texts of a cell: the number, then smaller ones. */
  lines(figures: Figures, totals: Figures): string[];
}

/** A table of the page. */
export interface TableText {
  readonly heading: string;
  readonly caption: string;
  /** The heading of the column with the names of the rows. */
  readonly rows: string;
  readonly columns: readonly Column[];
}

function rate(heading: string, field: Field, format: (value: number) => string): Column {
  const value = (figures: Figures) => figures.of(field);
  const lines = (figures: Figures, totals: Figures) =>
    figures === totals
      ? [format(value(totals))]
      : [format(value(figures)), `${format(value(totals))} in all`];
  return { heading, isRate: true, value, lines };
}

function current(heading: string): Column {
  return { heading, isRate: false, value: ({ now }) => now, lines: ({ now }) => [number(now)] };
}

const ERRORS: Column = {
  heading: "Errors",
  isRate: true,
  value: ({ errors }) => errors.reduce((sum, [, count]) => sum + count, 0),
  lines(figures, totals) {
    const statuses = figures.errors.map(([status, count]) => `${status} ${number(count)}`);
    const first = number(ERRORS.value(figures));
    if (figures === totals || statuses.length === 0) return [first, ...statuses];
    return [first, `${number(ERRORS.value(totals))} in all`, ...statuses];
  },
};

const P50: Column = {
  heading: "p50",
  isRate: false,
  value: (figures) => Number.isNaN(figures.mean) ? figures.quantile(0.5) : figures.mean,
  lines(figures) {
    const text = duration(P50.value(figures));
    return Number.isNaN(figures.mean) ? [text] : [text, "mean"];
  },
};

const P99: Column = {
  heading: "p99",
  isRate: false,
  value: (figures) => figures.quantile(0.99),
  lines: (figures) => [duration(P99.value(figures))],
};

const CALLS: readonly Column[] = [
  rate("Calls", "calls", number),
  ERRORS,
  P50,
  P99,
  current("In flight"),
  rate("Sent", "sent", bytes),
  rate("Received", "received", bytes),
];

const DELAY: Column = {
  heading: "Mean delay",
  isRate: false,
  value: (figures) => figures.of("retryDelay") / figures.of("delayed"),
  lines: (figures) => [duration(DELAY.value(figures))],
};

/** The texts and columns of each table. */
export const TABLE_TEXTS: Readonly<Record<Table, TableText>> = {
  server: {
    heading: "Server",
    caption: "Calls that this process answers",
    rows: "Method",
    columns: CALLS,
  },
  client: {
    heading: "Client",
    caption: "Calls that this process makes",
    rows: "Method",
    columns: CALLS,
  },
  retries: {
    heading: "Retries",
    caption: "Attempts that repeat a call, and the time without an attempt",
    rows: "Method",
    columns: [
      rate("Retries", "retries", number),
      rate("Transparent retries", "transparentRetries", number),
      rate("Hedges", "hedges", number),
      DELAY,
    ],
  },
  connections: {
    heading: "Connections",
    caption: "Connections to each target",
    rows: "Target",
    columns: [
      current("Open"),
      rate("Connected", "connected", number),
      rate("Failed", "failed", number),
      rate("Disconnected", "disconnected", number),
    ],
  },
};

/** What the numbers cover: those of the page as it is loaded, and those of its script. */
export const SINCE_START = "since it started";
export const LAST_MINUTE = "in the last minute, or since this page was opened; curves go back " +
  "five minutes at most";

/** The notes under the tables: what the numbers mean. */
export const NOTES = [
  "Calls, errors and bytes count when a call ends. A client's calls in flight and its bytes are " +
  "those of attempts, so that retries count.",
  "p50 and p99 are interpolated within a bucket, as Prometheus' histogram_quantile does. Native " +
  "histograms have no buckets in the text: their mean stands in place of p50, and p99 is not known.",
];

const UNKNOWN = "–";

/**
 * Formatters by the number of decimal places, made when they are used first: the first one of a
 * process takes 15 ms on Node, which would delay the start of programs whose page nobody opens.
 */
const formats: Intl.NumberFormat[] = [];

/** Formats a number with three digits, or all of its integral ones. */
export function number(value: number): string {
  if (Number.isNaN(value)) return UNKNOWN;
  if (value > 0 && value < 0.01) return "<0.01";
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  const format = formats[digits] ??= new Intl.NumberFormat("en", {
    maximumFractionDigits: digits,
  });
  return format.format(value);
}

/** Formats seconds in the unit that suits them. */
export function duration(seconds: number): string {
  if (Number.isNaN(seconds)) return UNKNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${number(seconds * 1e6)} µs`;
  return seconds < 1 ? `${number(seconds * 1e3)} ms` : `${number(seconds)} s`;
}

/** Formats bytes in the unit that suits them. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${number(value)} ${units[unit]}`;
}

/** Splits the full name of a method behind its service; other names have no first part. */
export function splitName(name: string): [service: string, method: string] {
  const slash = name.lastIndexOf("/") + 1;
  return slash === name.length ? ["", name] : [name.slice(0, slash), name.slice(slash)];
}

/** Returns the name of the service. */
export function titleOf({ target }: Pick<Snapshot, "target">): string {
  return target.get("service_name") ?? "Metrics";
}

/** Returns whose metrics these are, as pairs of a heading and a text. */
export function facts(
  { target, library, startTime }: Pick<Snapshot, "target" | "library" | "startTime">,
): [string, string][] {
  const join = (...names: string[]) => names.flatMap((name) => target.get(name) ?? []).join(" ");
  const pairs: [string, string][] = [
    ["Namespace", join("service_namespace")],
    ["Version", join("service_version")],
    ["Instance", join("service_instance_id")],
    ["Runtime", join("process_runtime_name", "process_runtime_version")],
    ["gRPC", library ?? ""],
    ["Up since", utc(startTime ?? NaN)],
  ];
  return pairs.filter(([, text]) => text !== "");
}

/** Formats seconds since 1970; empty if they are no time. */
function utc(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
