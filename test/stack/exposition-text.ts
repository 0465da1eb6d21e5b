// What the scripts and a Collector show of the same series, made comparable.

/** The text of a `/metrics`, read. */
export interface Exposition {
  /** `# HELP` and `# TYPE` lines by family. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Values by series, without the labels that only one of the two ways has. */
  readonly series: ReadonlyMap<string, string>;
}

/**
 * Reads text.
 *
 * @param label What a series has to have to be read, `job="echo-server"` for those of one job.
 */
export function readExposition(text: string, label?: string): Exposition {
  const metadata = new Map<string, string>();
  const series = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, kind, family] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
    if (kind) metadata.set(`${kind} ${family}`, line);
    const [, name, labels = "", value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (!name || (label !== undefined && !labels.includes(label))) continue;
    const kept = labels.match(/[a-z_]+="(?:[^"\\]|\\.)*"/g)
      ?.filter((label) => !/^(job|instance)=|^otel_scope_schema_url=""$/.test(label)) ?? [];
    series.set(`${name}{${kept.join()}}`, value!);
  }
  return { metadata, series };
}

/**
 * Values of the gRPC series. Each exporter of a process adds up seconds by itself, in portions of
 * its own, so that their sums may differ in the last digits, which are left out.
 */
export function grpcSeries({ series }: Exposition): Record<string, string> {
  return Object.fromEntries(
    [...series].filter(([key]) => key.startsWith("grpc_")).map(([key, value]) => [
      key,
      key.includes("_seconds_sum{") ? Number(value).toPrecision(12) : value,
    ]),
  );
}

/** Where a script that also pushes is scraped: `Metrics at` names the places of both exporters. */
export function firstUrl(endpoint: string): string {
  return endpoint.split(",")[0]!;
}
