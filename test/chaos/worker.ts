/**
 * A server or a client of the chaos run that counts its calls itself. It reads commands line by line
 * from standard input, and exits when that ends.
 *
 *     worker.ts server ADDRESS
 *     worker.ts client SEED ADDRESS...
 *
 * @module
 */
import { createInterface } from "node:readline";
import { startTelemetry } from "../../telemetry.ts";
import { heapInUse } from "../support/heap.ts";
import type { Ledger } from "./ledger.ts";
import { prepareCalls } from "./worker-client.ts";
import { startServing } from "./worker-server.ts";

/** The work of a server or a client. */
export interface Work {
  readonly ledger: Ledger;
  /** The number of ended calls. */
  readonly ended: number;
  /** Begins to make calls. */
  start?(): void;
  /** Makes or accepts no more calls, and waits for the running ones. */
  finish(): Promise<void>;
}

const [role, ...args] = process.argv.slice(2);
const telemetry = await startTelemetry({
  defaultServiceName: `chaos-${role}`,
  defaultPrometheusPort: 0,
});
console.log(`Metrics at ${telemetry.endpoint}`);
const work = role === "server"
  ? await startServing(telemetry.plugin, args)
  : prepareCalls(telemetry.plugin, args);
console.log("Ready");

const progress = setInterval(() => console.log(`Calls ${work.ended}`), 1000);
const commands = createInterface(process.stdin);
commands.on("line", async (command) => {
  if (command === "start") work.start?.();
  if (command === "memory") {
    console.log(`Memory ${await heapInUse()} ${process.memoryUsage().rss}`);
  }
  if (command === "counts") console.log(`Counts ${JSON.stringify(work.ledger.counts)}`);
  if (command === "finish") {
    await work.finish();
    console.log("Finished");
  }
});
commands.on("close", stop);
process.on("SIGTERM", stop);

async function stop(): Promise<void> {
  clearInterval(progress);
  await work.finish();
  await telemetry.shutdown();
  process.exit(0);
}
