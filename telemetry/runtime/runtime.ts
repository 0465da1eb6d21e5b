import { diag } from "@opentelemetry/api";
import type { MeterProvider } from "@opentelemetry/api";
import { observeEventLoopDelay } from "./event-loop-delay.ts";
import { observeProcessHeap, observeV8Heap } from "./heap.ts";
import { currentRuntime } from "./runtime-name.ts";

/**
 * Records metrics of the JavaScript runtime: event loop and heap, and on Node.js garbage collection
 * and active resources.
 *
 * On Node.js, `@opentelemetry/instrumentation-runtime-node` records them. Bun has only stubs of event
 * loop utilization and the V8 heap spaces. Deno has only stubs of event loop utilization and delay,
 * and loading the package there needs permission for the whole environment. Neither reports garbage
 * collections or active resources. So on both, the observers in this folder record what the runtime
 * measures, through the meter `runtime`, under the same names where they apply.
 *
 * @param meterProvider where to record; values are read during its collections
 * @returns stops the recording. Never rejects: metrics that cannot be recorded are left out, with a
 * message to `diag`
 */
export async function observeRuntime(meterProvider: MeterProvider): Promise<() => void> {
  try {
    const { name } = currentRuntime();
    if (name === "node") return await observeNode(meterProvider);
    const meter = meterProvider.getMeter("runtime");
    const stopHeap = name === "bun" ? observeProcessHeap(meter) : observeV8Heap(meter);
    const stopDelay = observeEventLoopDelay(meter, name);
    return () => {
      stopHeap();
      stopDelay();
    };
  } catch (error) {
    diag.debug("Runtime metrics are left out.", error);
    return () => {};
  }
}

async function observeNode(meterProvider: MeterProvider): Promise<() => void> {
  // Not at the top: on Deno, loading it without permission for the whole environment prompts or
  // throws.
  const { RuntimeNodeInstrumentation } = await import(
    "@opentelemetry/instrumentation-runtime-node"
  );
  const instrumentation = new RuntimeNodeInstrumentation();
  instrumentation.setMeterProvider(meterProvider);
  return () => instrumentation.disable();
}
