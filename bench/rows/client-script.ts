import { Service } from "../../stack/service.ts";
import { figure, ratios } from "../measure/figure.ts";
import { Program, script } from "../measure/program.ts";
import type { Runtime } from "../measure/program.ts";
import type { Row } from "./row.ts";

/** Compares the load that `client.ts` makes with that of a bare loop of grpc-js calls. */
export const clientScript: Row = {
  name: "client-script",
  title: "calls per second of client.ts with ECHO_CONCURRENCY=50 / a bare loop",
  async *measure({ runtimes, rounds, clientSeconds }) {
    for (const of of runtimes) {
      const bare: number[] = [];
      const ours: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const [server, { port }] = await Program.start<{ port: number }>(
          script(of, "bench/programs/server.ts", "bare"),
        );
        await bareLoopQps(of, port, 1); // warms up the server
        const runBare = async () => bare.push(await bareLoopQps(of, port, clientSeconds));
        const runOurs = async () => ours.push(await clientScriptQps(of, port, clientSeconds));
        const order = round % 2 === 0 ? [runBare, runOurs] : [runOurs, runBare];
        for (const run of order) await run();
        await server.stop();
      }
      yield figure({ what: "bare loop", of, unit: "calls/s" }, bare);
      yield figure({ what: "client.ts", of, unit: "calls/s" }, ours);
      yield figure({ what: "client.ts / bare loop", of, unit: "" }, ratios(ours, bare), {
        atLeast: 0.95,
      });
    }
  },
};

async function bareLoopQps(runtime: Runtime, port: number, seconds: number): Promise<number> {
  const path = "bench/programs/bare-client.ts";
  return await printedQps(script(runtime, path, `${port}`, `${seconds}`), {});
}

async function clientScriptQps(runtime: Runtime, port: number, seconds: number): Promise<number> {
  return await printedQps(script(runtime, "client.ts"), {
    ECHO_ADDR: `127.0.0.1:${port}`,
    ECHO_CONCURRENCY: "50",
    ECHO_DURATION_S: `${seconds}`,
    OTEL_EXPORTER_PROMETHEUS_PORT: "0",
  });
}

async function printedQps(command: string[], environment: Record<string, string>): Promise<number> {
  const client = new Service({ name: "the client", command, environment, log: () => {} });
  const printed = await client.printed(/^ *QPS +([\d.]+)$/);
  await client.ended;
  return Number(printed);
}
