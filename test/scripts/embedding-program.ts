/**
 * A program that uses `startTelemetry`, prints its metrics and OpenTelemetry's log, and does nothing
 * itself about output errors. After SIGTERM, or at once with the argument `now`, it runs for 50 more
 * exports.
 */
import { diag } from "@opentelemetry/api";
import { setImmediate as nextTurn } from "node:timers/promises";
import { startTelemetry } from "../../telemetry.ts";

const { meterProvider, shutdown } = await startTelemetry({
  defaultServiceName: "embedding",
  defaultPrometheusPort: 0,
});
// Exports alone do not keep a program alive.
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
// Telemetry must leave no error handler behind.
const left = process.stdout.listenerCount("error") + process.stderr.listenerCount("error");
process.exit(left === 0 ? 7 : 8);
