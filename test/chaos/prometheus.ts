import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { answers } from "./collectors.ts";
import { SupervisedProgram } from "./supervised-program.ts";
import { Program } from "./program.ts";

/** A process that is scraped. */
export interface Target {
  readonly job: string;
  /** Its `service.instance.id`, which is also the `instance` label of what the Collector exposes. */
  readonly instance: string;
  readonly url: string;
}

/** The current value of a series. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus server that scrapes the gateway and a changing set of processes. */
export class Prometheus {
  readonly supervised: SupervisedProgram;
  readonly #url: string;
  readonly #folder: string;

  private constructor(supervised: SupervisedProgram, url: string, folder: string) {
    this.supervised = supervised;
    this.#url = url;
    this.#folder = folder;
  }

  /**
   * Starts Prometheus and waits until it is ready.
   *
   * @param executable The path of the program.
   * @param folder The folder for its configuration and data.
   * @param port The port that it listens on.
   * @param gateway `host:port` of the gateway's metrics.
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
    const supervised = await SupervisedProgram.start("Prometheus", async () => {
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
    return new Prometheus(supervised, url, folder);
  }

  /** Replaces the set of processes to scrape. */
  async setTargets(targets: readonly Target[]): Promise<void> {
    const groups = targets.map(({ job, instance, url }) => ({
      targets: [new URL(url).host],
      labels: { job, instance },
    }));
    const file = join(this.#folder, "targets.json");
    await writeFile(`${file}.new`, JSON.stringify(groups));
    await rename(`${file}.new`, file);
  }

  /** Runs an instant query. */
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
