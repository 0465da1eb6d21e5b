import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT, Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";

/** A loaded rule with the result of its last evaluation. */
export interface LoadedRule {
  readonly type: "recording" | "alerting";
  readonly name: string;
  readonly query: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
  /** Whether an alert has results, and whether it has had them for long enough. */
  readonly state?: "inactive" | "pending" | "firing";
}

/** A series of a range query: numbers, or native histograms. */
export interface RangeSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values?: readonly (readonly [time: number, value: string])[];
  readonly histograms?: readonly (readonly [time: number, histogram: {
    readonly buckets?: readonly (readonly [
      boundaries: number,
      low: string,
      high: string,
      count: string,
    ])[];
  }])[];
}

/** What a Prometheus has beyond targets and the project's rules. */
export interface PrometheusSettings {
  /** Further sections of `prometheus.yml`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Sections as they stand in a document. */
  readonly yaml?: string;
  /** The port on 127.0.0.1, by default a free one at each start. */
  readonly port?: number;
  readonly flags?: readonly string[];
}

/** A running Prometheus with the project's rules. */
export class RunningPrometheus {
  readonly #command: readonly string[];
  #url = "";
  #process: Script | undefined;

  private constructor(command: readonly string[]) {
    this.#command = command;
  }

  /** The URL, without a slash at the end. */
  get url(): string {
    return this.#url;
  }

  /**
   * Starts Prometheus on a free port. It scrapes and evaluates the rules every second.
   *
   * @param executable The path of Prometheus.
   * @param jobs The URLs of `/metrics` pages by job.
   */
  static async start(
    owner: Owner,
    executable: string,
    jobs: Readonly<Record<string, readonly string[]>>,
    { config: others = {}, yaml = "", port = 0, flags = [] }: PrometheusSettings = {},
  ): Promise<RunningPrometheus> {
    const folder = await mkdtemp(join(tmpdir(), "prometheus-"));
    const config = join(folder, "prometheus.yml");
    const sections = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [join(PROJECT, "stack/rules", "*.yml")],
      scrape_configs: Object.entries(jobs).map(([job, urls]) => ({
        job_name: job,
        // As in prometheus.yml for a Collector. The scripts' own pages have no such labels.
        honor_labels: true,
        static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
      })),
      ...others,
    };
    // JSON is also YAML.
    const lines = Object.entries(sections).map(([name, each]) =>
      `${name}: ${JSON.stringify(each)}\n`
    );
    await writeFile(config, lines.join("") + yaml);
    const prometheus = new RunningPrometheus([
      executable,
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      ...flags,
    ]);
    await prometheus.startAgain(owner);
    owner.after(() => rm(folder, { recursive: true }));
    return prometheus;
  }

  /** Stops Prometheus and keeps its data. */
  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** Starts Prometheus again after {@link stop}, with the same data on another port. */
  async startAgain(owner: Owner): Promise<void> {
    this.#process = new Script(owner, this.#command);
    const address = await this.#process.printedError(/msg="Listening on".* address=(\S+)/);
    this.#url = `http://${address}`;
    await this.#process.printedError(/Server is ready to receive web requests/);
  }

  /** Returns the values of an instant query without NaN and infinities. */
  async query(query: string): Promise<number[]> {
    const { result } = await this.#get<{ result: { value: [number, string] }[] }>("query", {
      query,
    });
    return result.map(({ value }) => Number(value[1])).filter(Number.isFinite);
  }

  /** Returns the series of a range query. Times are in seconds. */
  async range(
    query: string,
    { start, end, step }: { start: number; end: number; step: number },
  ): Promise<RangeSeries[]> {
    const times = { start: `${start}`, end: `${end}`, step: `${step}` };
    return (await this.#get<{ result: RangeSeries[] }>("query_range", { query, ...times })).result;
  }

  /** Returns the sorted values of a label in the selected series. */
  labelValues(label: string, selector: string): Promise<string[]> {
    return this.#get(`label/${label}/values`, { "match[]": selector });
  }

  /** Returns all rules in the order of their files. */
  async rules(): Promise<LoadedRule[]> {
    const { groups } = await this.#get<{ groups: { rules: LoadedRule[] }[] }>("rules", {});
    return groups.flatMap((group) => group.rules);
  }

  async #get<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const response = await fetch(
      `${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`,
    );
    const answer = await response.json() as { data: T; error?: string };
    assert.equal(answer.error, undefined, `${Object.values(parameters)}: ${answer.error}`);
    return answer.data;
  }
}
