/** The start of a job in `prometheus.yml`. */
const JOB = /^ {2}- job_name: (\S+)$/m;
const TARGETS = /targets: \[.*\]/;
const RULES = "  - stack/rules/";

/**
 * Fits `prometheus.yml` to the programs that run: jobs of other programs are left out, so that no
 * target is shown as down which was never meant to be there.
 *
 * @param text What `prometheus.yml` holds.
 * @param targets For each job that is wanted the `host:port` it is at.
 * @param project The folder that the paths of rule files begin at; it ends with a slash.
 * @throws {Error} when a wanted job is not in `prometheus.yml`.
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
