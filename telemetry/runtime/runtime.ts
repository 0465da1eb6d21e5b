import { diag } from "@opentelemetry/api";
import type { MeterProvider } from "@opentelemetry/api";
import { observeEventLoopDelay } from "./event-loop-delay.ts";
import { observeProcessHeap, observeV8Heap } from "./heap.ts";
import { currentRuntime } from "./runtime-name.ts";

/**
 * Records metrics of the JavaScript runtime: event loop and heap, and on Node.js garbage collection
 * and active resources.
 *
 * Node.js has `@opentelemetry/instrumentation-runtime-node`. It is not used on Bun, where event
 * loop utilization and the V8 heap spaces are stubs, nor on Deno, where event loop utilization and
 * delay are, and where loading it needs permission for the whole environment; neither reports
 * garbage collections or active resources. There, own observers record what is true, under the same
 * names where they apply, through the meter `runtime`.
 *
 * @param meterProvider where to record; values are read during its collections
 * @returns stops the recording. What cannot be recorded is left out with a message to `diag`: this
 * never rejects
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
  // Only here, not at the top: on Deno, loading it without permission for the whole environment
  // asks on the terminal or throws.
  const { RuntimeNodeInstrumentation } = await import(
    "@opentelemetry/instrumentation-runtime-node"
  );
  const instrumentation = new RuntimeNodeInstrumentation();
  instrumentation.setMeterProvider(meterProvider);
  return () => instrumentation.disable();
}
