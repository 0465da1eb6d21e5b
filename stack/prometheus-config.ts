/** The first line of a job in `prometheus.yml`. */
const JOB = /^ {2}- job_name: (\S+)$/m;
const TARGETS = /targets: \[.*\]/;
const RULES = "  - stack/rules/";

/**
 * Adapts `prometheus.yml` to the programs that run: sets their targets and removes all other jobs,
 * which would show up as down.
 *
 * @param text The content of `prometheus.yml`.
 * @param targets The `host:port` of each job to keep.
 * @param project The folder that paths of rule files are relative to, with a slash at the end.
 * @throws {Error} when `prometheus.yml` lacks one of the jobs.
 */
export function prometheusConfig(
  text: string,
  targets: Readonly<Record<string, string>>,
  project: string,
): string {
  const [head = "", ...jobs] = text.split(/^(?= {2}- job_name: )/m);
  const wanted = new Map(Object.entries(targets));
  const blocks = [head.replaceAll(RULES, `  - ${project}stack/rules/`)];
  for (const job of jobs) {
    const name = JOB.exec(job)?.[1] ?? "";
    const target = wanted.get(name);
    if (target !== undefined) blocks.push(job.replace(TARGETS, `targets: ["${target}"]`));
    wanted.delete(name);
  }
  if (wanted.size > 0) {
    throw new Error(`prometheus.yml has no job ${[...wanted.keys()].join(", ")}`);
  }
  return blocks.join("");
}

/**
 * Lets Prometheus forward all samples to a storage.
 *
 * @param text The content of `prometheus.yml`, without `remote_write`.
 * @param storage The URL of VictoriaMetrics or another Prometheus, without a slash at the end.
 */
export function forwardingConfig(text: string, storage: string): string {
  return `${text}\nremote_write:\n  - url: ${storage}/api/v1/write\n`;
}
