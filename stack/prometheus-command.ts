import { findExecutable } from "./executable.ts";

const MISSING = "prometheus is not on the PATH; install it with `apt-get install prometheus`, " +
  "`brew install prometheus` or from https://prometheus.io/download/";

/** Options of {@link prometheusCommand}. */
export interface PrometheusOptions {
  /** Path of the configuration file. */
  readonly config: string;
  /** Folder for its data. */
  readonly data: string;
  /** TCP port on 127.0.0.1. */
  readonly port: number;
}

/**
 * Returns the command that runs Prometheus from the `PATH`.
 *
 * @throws {Error} with installation advice when Prometheus is missing.
 */
export async function prometheusCommand(
  { config, data, port }: PrometheusOptions,
): Promise<string[]> {
  const prometheus = await findExecutable("prometheus");
  if (prometheus === undefined) throw new Error(MISSING);
  return [
    prometheus,
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
}
