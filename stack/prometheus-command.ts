import { findExecutable } from "./executable.ts";
import { installAdvice } from "./install-advice.ts";
import type { InstallableProgram } from "./install-advice.ts";

const PROMETHEUS: InstallableProgram = {
  name: "prometheus",
  packages: {
    "apt-get": "prometheus",
    // The package's name differs between releases; dnf finds it by its file.
    dnf: "/usr/bin/prometheus",
    zypper: "golang-github-prometheus-prometheus",
    pacman: "prometheus",
    apk: "prometheus",
    brew: "prometheus",
  },
  page: "https://prometheus.io/download/",
};

/** Returns what to do if Prometheus is not on the `PATH`; undefined if it is. */
export async function missingPrometheus(): Promise<string | undefined> {
  return await findExecutable("prometheus") ? undefined : await installAdvice(PROMETHEUS);
}

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
  if (prometheus === undefined) throw new Error(await installAdvice(PROMETHEUS));
  return [
    prometheus,
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
}
