import { freePorts } from "../../stack/ports.ts";
import { figure, ratios } from "../measure/figure.ts";
import { installPackage } from "../measure/installed.ts";
import { startFigures, startInTurns } from "../measure/start.ts";
import type { Row } from "./row.ts";

const GOALS = { ms: { atMost: 1.25 }, MB: { atMost: 1.15 } };

/**
 * Compares the start-up time and memory of a service that has installed the package, with
 * `grpc-js-opentelemetry/register` and without. A third one only loads the OpenTelemetry SDK and
 * starts its Prometheus exporter, which shows the SDK's own share.
 */
export const installed: Row = {
  name: "installed",
  title: "start-up time and idle memory of an installed service with register / without",
  async *measure({ runtimes, starts }) {
    const { "service.mjs": path, ...preloads } = await installPackage();
    for (const of of runtimes) {
      const { bare, again, sdk, register } = await startInTurns(of, {
        bare: { path },
        sdk: { path, preload: preloads["sdk.mjs"], environment: await anyPort() },
        register: { path, preload: preloads["register.mjs"] },
        again: { path },
      }, starts);
      yield* startFigures(of, "bare", bare);
      yield* startFigures(of, "the SDK alone", sdk, bare, { again });
      yield* startFigures(of, "register", register, bare, { goals: GOALS, again });
      for (const [unit, title] of [["ms", "start-up"], ["MB", "idle memory"]] as const) {
        const [ours, theirs] = [register, sdk].map((starts) => starts.map((start) => start[unit]));
        const what = `${title}, register / the SDK alone`;
        yield figure({ what, of, unit: "" }, ratios(ours!, theirs!));
      }
    }
  },
};

async function anyPort(): Promise<Record<string, string>> {
  const { port } = await freePorts({ port: 0 });
  return { OTEL_EXPORTER_PROMETHEUS_PORT: `${port}` };
}
