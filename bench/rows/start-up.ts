import { setTimeout as delay } from "node:timers/promises";
import { figure } from "../measure/figure.ts";
import { residentMegabytes } from "../measure/memory.ts";
import { RUNTIME_NAMES, script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import { ratios } from "../measure/statistics.ts";
import { Service } from "../../stack/service.ts";
import type { Row } from "./row.ts";

/** After a start, so that memory is that of a process at rest. */
const IDLE_MS = 500;
const SERVERS = { bare: "bench/programs/bare-server.ts", instrumented: "server.ts" };

interface Start {
  /** From the start of the process until it serves. */
  readonly ms: number;
  /** Resident memory. */
  readonly megabytes: number;
}

/** How much later `server.ts` serves than a server without telemetry, and how much more it holds. */
export const startUp: Row = {
  name: "start-up",
  title: "start-up time and idle memory of server.ts / a bare server",
  async *measure({ starts }) {
    for (const of of RUNTIME_NAMES) {
      const bare: Start[] = [];
      const instrumented: Start[] = [];
      for (let i = 0; i < starts; i++) {
        const startBare = async () => bare.push(await start(of, SERVERS.bare));
        const startOurs = async () => instrumented.push(await start(of, SERVERS.instrumented));
        const order = i % 2 === 0 ? [startBare, startOurs] : [startOurs, startBare];
        for (const one of order) await one();
      }
      for (const unit of ["ms", "MB"] as const) {
        const what = unit === "ms" ? "start-up" : "idle memory";
        const [without, withIt] = [bare, instrumented].map((s) =>
          s.map(({ ms, megabytes }) => unit === "ms" ? ms : megabytes)
        );
        yield figure({ what: `${what}, bare`, of, unit }, without!);
        yield figure({ what: `${what}, server.ts`, of, unit }, withIt!);
        yield figure({ what: `${what}, ratio`, of, unit: "" }, ratios(withIt!, without!), {
          atMost: 1.25,
        });
      }
    }
  },
};

async function start(runtime: Runtime, path: string): Promise<Start> {
  const startMs = performance.now();
  const server = new Service({
    name: path,
    command: script(runtime, path),
    environment: { ECHO_ADDR: "127.0.0.1:0", OTEL_EXPORTER_PROMETHEUS_PORT: "0" },
    log: () => {},
  });
  await server.printed(/^Serving on/);
  const ms = performance.now() - startMs;
  await delay(IDLE_MS);
  const megabytes = await residentMegabytes(server.pid!);
  server.kill();
  await server.ended;
  return { ms, megabytes };
}
