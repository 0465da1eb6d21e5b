// Makes the scripts' and the Collector's texts of the same series comparable.

/** The parsed text of a `/metrics` page. */
export interface Exposition {
  /** `# HELP` and `# TYPE` lines by family. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Values by series, without labels that only one of the two texts has. */
  readonly series: ReadonlyMap<string, string>;
}

/**
 * Parses the text of a `/metrics` page.
 *
 * @param label Keeps only series with this label, such as `job="echo-server"`.
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
 * Returns the values of the gRPC series. Sums of seconds are rounded: each exporter of a process
 * adds them up separately, so the last digits may differ.
 */
export function grpcSeries({ series }: Exposition): Record<string, string> {
  return Object.fromEntries(
    [...series].filter(([key]) => key.startsWith("grpc_")).map(([key, value]) => [
      key,
      key.includes("_seconds_sum{") ? Number(value).toPrecision(12) : value,
    ]),
  );
}

/**
 * Returns the scrape URL of a script that also pushes: `Metrics at` lists both exporters'
 * addresses.
 */
export function firstUrl(endpoint: string): string {
  return endpoint.split(",")[0]!;
}
