/**
 * A program of somebody else that prints its metrics and OpenTelemetry's log: what happens to it when
 * nobody reads them is the matter of `startTelemetry` alone. After SIGTERM, or at once with the argument
 * `now`, it goes on for 50 exports.
 */
import { diag } from "@opentelemetry/api";
import { setImmediate as nextTurn } from "node:timers/promises";
import { startTelemetry } from "../../telemetry.ts";

const { meterProvider, shutdown } = await startTelemetry({
  defaultServiceName: "embedding",
  defaultPrometheusPort: 0,
});
// Exports alone keep no program alive.
setInterval(() => {}, 1000);
const stopped = new Promise<void>((resolve) => {
  if (process.argv[2] === "now") return resolve();
  process.on("SIGTERM", () => resolve());
  console.log("Ready");
});
const printed = stopped.then(() =>
  new Promise<void>((resolve) => {
    let exports = 0;
    meterProvider.getMeter("embedding").createObservableGauge("exports").addCallback((result) => {
      result.observe(++exports);
      for (let line = 0; line < 10; line++) diag.debug(`export ${exports}`);
      if (exports === 50) resolve();
    });
  })
);
await printed;
await shutdown();
for (let turn = 0; turn < 10; turn++) await nextTurn();
// No handler of telemetry stays behind.
const left = process.stdout.listenerCount("error") + process.stderr.listenerCount("error");
process.exit(left === 0 ? 7 : 8);
