interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Parses the samples of a Prometheus text. */
function parseSamples(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (match === null) return [];
    const [, name = "", list = "", value = ""] = match;
    const labels: Record<string, string> = {};
    for (const [, key = "", quoted = ""] of list.matchAll(/([a-z_0-9]+)="((?:[^"\\]|\\.)*)"/gi)) {
      labels[key] = quoted;
    }
    return [{ name, labels, value: Number(value.replace("+Inf", "Infinity")) }];
  });
}

/**
 * Formats a table with one line for each method: calls, errors, median and 99th percentile of the
 * duration, message bytes.
 *
 * @param text The body of a `/metrics` response.
 * @param prefix `grpc_client` or `grpc_server`.
 */
export function methodTable(text: string, prefix: string): string {
  const samples = parseSamples(text).filter(({ name }) => name.startsWith(prefix));
  const sizes = prefix === "grpc_client" ? "grpc_client_attempt" : "grpc_server_call";
  const methods = new Set(samples.map(({ labels }) => labels["grpc_method"] ?? ""));
  const rows = [...methods].map((method) => {
    const find = (name: string) =>
      samples.filter((sample) => sample.name === name && sample.labels["grpc_method"] === method);
    const calls = find(`${prefix}_call_duration_seconds_count`);
    const errors = calls.filter(({ labels }) => labels["grpc_status"] !== "OK");
    const buckets = find(`${prefix}_call_duration_seconds_bucket`);
    return [
      method,
      `${sum(calls)}`,
      `${sum(errors)}`,
      seconds(quantile(0.5, buckets)),
      seconds(quantile(0.99, buckets)),
      `${sum(find(`${sizes}_sent_total_compressed_message_size_bytes_sum`))}`,
      `${sum(find(`${sizes}_rcvd_total_compressed_message_size_bytes_sum`))}`,
    ];
  });
  return align([
    ["method", "calls", "errors", "p50", "p99", "bytes sent", "bytes received"],
    ...rows,
  ]);
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0);
}

/** Like PromQL's `histogram_quantile`, interpolates linearly within the bucket of the quantile. */
function quantile(q: number, samples: readonly Sample[]): number {
  const cumulative = new Map<number, number>();
  for (const { labels, value } of samples) {
    const upper = Number(labels["le"]?.replace("+Inf", "Infinity"));
    cumulative.set(upper, (cumulative.get(upper) ?? 0) + value);
  }
  const rank = q * (cumulative.get(Infinity) ?? 0);
  let [lower, below] = [0, 0];
  for (const [upper, count] of cumulative) {
    if (count >= rank) {
      if (upper === Infinity) return lower;
      return lower + (upper - lower) * (rank - below) / (count - below || 1);
    }
    [lower, below] = [upper, count];
  }
  return lower;
}

function seconds(value: number): string {
  return value < 1 ? `${(value * 1000).toPrecision(3)} ms` : `${value.toPrecision(3)} s`;
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ")
  ).join("\n");
}
