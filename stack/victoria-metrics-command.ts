import { findExecutable } from "./executable.ts";
import { installAdvice } from "./install-advice.ts";
import type { InstallableProgram } from "./install-advice.ts";

const VICTORIA_METRICS: InstallableProgram = {
  name: "victoria-metrics",
  packages: {
    "apt-get": "victoria-metrics",
    pacman: "victoriametrics",
    apk: "victoria-metrics",
    brew: "victoriametrics",
  },
  page: "https://docs.victoriametrics.com/victoriametrics/quick-start/",
};

/** Options of {@link victoriaMetricsCommand}. */
export interface VictoriaMetricsOptions {
  /** Folder for its data. */
  readonly data: string;
  /** TCP port on 127.0.0.1. */
  readonly port: number;
}

/**
 * Returns the command that runs VictoriaMetrics from the `PATH`. Queries see a sample as soon as it
 * is stored, instead of 30 s later.
 *
 * @throws {Error} with installation advice when VictoriaMetrics is missing.
 */
export async function victoriaMetricsCommand(
  { data, port }: VictoriaMetricsOptions,
): Promise<string[]> {
  // The second is the name in the project's own archives.
  const victoriaMetrics = await findExecutable("victoria-metrics", "victoria-metrics-prod");
  if (victoriaMetrics === undefined) throw new Error(await installAdvice(VICTORIA_METRICS));
  return [
    victoriaMetrics,
    `-storageDataPath=${data}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    "-search.latencyOffset=0s",
  ];
}
