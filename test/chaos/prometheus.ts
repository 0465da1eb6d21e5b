import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { answers } from "./collectors.ts";
import { Part } from "./supervised-program.ts";
import { Program } from "./program.ts";

/** A process that is scraped. */
export interface Target {
  readonly job: string;
  /** Its `service.instance.id`, which is also the label `instance` of what a Collector shows. */
  readonly instance: string;
  readonly url: string;
}

/** A series as it is now. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus that scrapes the gateway, and processes that come and go. */
export class Prometheus {
  readonly part: Part;
  readonly #url: string;
  readonly #folder: string;

  private constructor(part: Part, url: string, folder: string) {
    this.part = part;
    this.#url = url;
    this.#folder = folder;
  }

  /**
   * Starts it.
   *
   * @param executable What to run.
   * @param folder Where its files are kept.
   * @param port Where it listens.
   * @param gateway `host:port` of the metrics of the gateway.
   */
  static async start(
    executable: string,
    folder: string,
    port: number,
    gateway: string,
  ): Promise<Prometheus> {
    const config = {
      global: { scrape_interval: "2s" },
      scrape_configs: [
        { job_name: "collector", honor_labels: true, static_configs: [{ targets: [gateway] }] },
        { job_name: "processes", file_sd_configs: [{ files: [join(folder, "targets.json")] }] },
      ],
    };
    await writeFile(join(folder, "targets.json"), "[]");
    // JSON is YAML too.
    await writeFile(join(folder, "prometheus.json"), JSON.stringify(config));
    const url = `http://127.0.0.1:${port}`;
    const part = await Part.start("Prometheus", async () => {
      const program = new Program({
        name: "Prometheus",
        command: [
          executable,
          `--config.file=${join(folder, "prometheus.json")}`,
          `--storage.tsdb.path=${join(folder, "data")}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
      });
      await answers(`${url}/-/ready`, program);
      return program;
    });
    return new Prometheus(part, url, folder);
  }

  /** Says which processes there are now. */
  async setTargets(targets: readonly Target[]): Promise<void> {
    const groups = targets.map(({ job, instance, url }) => ({
      targets: [new URL(url).host],
      labels: { job, instance },
    }));
    const file = join(this.#folder, "targets.json");
    await writeFile(`${file}.new`, JSON.stringify(groups));
    await rename(`${file}.new`, file);
  }

  /** What an instant query gives. */
  async query(expression: string): Promise<Sample[]> {
    const parameters = new URLSearchParams({ query: expression });
    const response = await fetch(`${this.#url}/api/v1/query?${parameters}`);
    const { data, error } = await response.json() as Answer;
    if (data === undefined) throw new Error(`${expression}: ${error}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }
}

interface Answer {
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Record<string, string>;
      readonly value: readonly [number, string];
    }[];
  };
}
