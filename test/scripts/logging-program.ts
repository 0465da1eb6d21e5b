/** A program with telemetry that logs every kind of thrown value, and prints `stopped` at its end. */
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { startTelemetry } from "../../telemetry.ts";
import { THROWN } from "../support/thrown.ts";

const telemetry = await startTelemetry({
  defaultServiceName: "logging-program",
  defaultPrometheusPort: 0,
});
const meter = telemetry.meterProvider.getMeter("test");
for (const [what, make] of Object.entries(THROWN)) {
  diag.error(`logged: ${what}:`, make());
  meter.createObservableGauge(`gauge${what.replaceAll(/\W/g, "_")}`).addCallback(() => {
    throw make();
  });
}
for (let i = 1; i <= 3; i++) diag.warn(`Dropped ${i} events because eventCountLimit reached`);
diag.warn("logged: one line\nOpenTelemetry error: forged\r\u001b[2J");

const provider = telemetry.meterProvider as typeof telemetry.meterProvider & {
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
};
await provider.forceFlush();
await provider.shutdown();
// `telemetry.shutdown` shuts the provider down again, which the SDK logs.
let isBroken = false;
const log = () => {
  if (isBroken) throw new Error("the log is broken");
};
diag.setLogger(
  { error: log, warn: log, info: log, debug: log, verbose: log },
  { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true },
);
isBroken = true;
await telemetry.shutdown();
console.log("stopped");
