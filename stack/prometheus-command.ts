import { findExecutable } from "./executable.ts";

const MISSING = "prometheus is not on the PATH; install it with `apt-get install prometheus`, " +
  "`brew install prometheus` or from https://prometheus.io/download/";

/** How Prometheus is to be run. */
export interface PrometheusOptions {
  /** Path of its configuration. */
  readonly config: string;
  /** The folder that its data goes to. */
  readonly data: string;
  /** TCP port on 127.0.0.1. */
  readonly port: number;
}

/**
 * The command that runs the Prometheus on the `PATH`.
 *
 * @throws {Error} with a line that says how to get it, when it isn't there.
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
