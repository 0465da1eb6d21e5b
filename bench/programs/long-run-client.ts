/**
 * A client that keeps 50 calls in flight until it ends: `long-run-client.ts PORT bare|plugin`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { LatencyHistogram } from "../../echo/latency-histogram.ts";
import { answerCommands } from "./commands.ts";
import { unaryCalls } from "./echo.ts";
import { CONCURRENCY } from "./load.ts";
import { startLongRun } from "./long-run.ts";

const [port = "", variant] = process.argv.slice(2);
const { plugin, url, reading } = await startLongRun(variant);
const call = unaryCalls(grpc, port, plugin.clientOptions());
let latency = new LatencyHistogram();

function worker(): void {
  const startMs = performance.now();
  call((error) => {
    if (error) throw error;
    latency.record((performance.now() - startMs) / 1000);
    worker();
  });
}

/** Returns the calls since the last time, and their 99th percentile. */
function calls(): { calls: number; p99Ms: number } {
  const { count } = latency;
  const p99Ms = latency.percentile(99) * 1000;
  latency = new LatencyHistogram();
  return { calls: count, p99Ms };
}

for (let i = 0; i < CONCURRENCY; i++) worker();
answerCommands({ url }, { reading, calls });
