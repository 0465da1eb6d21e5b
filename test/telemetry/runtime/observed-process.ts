// Started by exit.test.ts. It observes everything, prints the metrics, and removes no observer.
import { setTimeout as delay } from "node:timers/promises";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { observeProcess, observeRuntime } from "../../../telemetry/runtime/mod.ts";
import { collect, TestReader, total } from "./collect.ts";

const reader = new TestReader();
const provider = new MeterProvider({ readers: [reader] });
observeProcess(provider);
await observeRuntime(provider);
await delay(300); // lets the samples that an event loop delay needs come in
const metrics = await collect(reader);
console.log(
  JSON.stringify(
    Object.fromEntries([...metrics.keys()].map((name) => [name, total(metrics, name)])),
  ),
);
