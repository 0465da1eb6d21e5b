/**
 * `npm run demo`: runs the Echo server under Bun and the client under Deno, waits for ten replies,
 * reads both `/metrics` and stops both. Ends with a table of what each recorded and the next command
 * to try. The exit code is 0 if everything worked.
 *
 * @module
 */
import { constants } from "node:os";
import { ignoreOutputErrors } from "../../log/output.ts";
import { freePorts } from "../ports.ts";
import { Service } from "../service.ts";
import { methodTable } from "./method-table.ts";

const REPLIES = 10;
const EXPLANATION =
  `p50 and p99 are interpolated between the bounds of the metric's buckets, as Prometheus
does. The client's own summary above differs: it measures more finely, and it counts
the calls until the client is stopped.

Both scripts are stopped, so their addresses above no longer answer. To see the same
live, with graphs in Prometheus, until Ctrl-C:

  npm run stack`;

async function main(): Promise<void> {
  const ports = await freePorts({ echo: 50051, serverMetrics: 9464, clientMetrics: 9465 });
  const server = run("server", ["bun", "run", "server.ts"], {
    ECHO_ADDR: `:${ports.echo}`,
    ECHO_DELAY_MS: "200",
    OTEL_EXPORTER_PROMETHEUS_PORT: `${ports.serverMetrics}`,
  });
  const serverMetrics = await server.printed(/^Metrics at (.*)/);

  const client = run("client", ["deno", "run", "-A", "--quiet", "client.ts"], {
    ECHO_ADDR: `:${ports.echo}`,
    ECHO_INTERVAL_MS: "100",
    OTEL_EXPORTER_PROMETHEUS_PORT: `${ports.clientMetrics}`,
  });
  const [clientMetrics] = await Promise.all([
    client.printed(/^Metrics at (.*)/),
    client.printed(/^message:/, REPLIES),
  ]);

  const tables: string[] = [];
  for (const [side, url] of [["client", clientMetrics], ["server", serverMetrics]] as const) {
    const response = await fetch(url);
    const table = methodTable(await response.text(), `grpc_${side}`);
    tables.push(`The ${side}'s gRPC metrics, from its /metrics\n\n${table}`);
  }
  for (const script of [client, server]) {
    const how = await script.stop();
    if (how !== "exit code 0") throw new Error(`the ${script.name} stopped with ${how}`);
  }
  // Last, because the summary of the client would push the tables out of sight.
  console.log(`\n${[...tables, EXPLANATION].join("\n\n")}`);
}

/** Starts a script and prefixes its output with its name. */
function run(name: string, command: string[], environment: Record<string, string>): Service {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  console.log(`$ ${[...variables, ...command].join(" ")}`);
  return new Service({
    name,
    command,
    environment,
    log: (line) => console.log(`${name} | ${line}`),
  });
}

ignoreOutputErrors();
// A regular exit also kills the scripts; death by the signal would not.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}
try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
