import process from "node:process";
import { getHeapSpaceStatistics } from "node:v8";
import type { BatchObservableResult, Meter } from "@opentelemetry/api";

/**
 * Records `v8js.memory.heap.*` for each space of the V8 heap, in bytes, as
 * `@opentelemetry/instrumentation-runtime-node` does, with the names of the OpenTelemetry semantic
 * conventions (https://opentelemetry.io/docs/specs/semconv/runtime/v8js-metrics/). A space that V8
 * does not use has size 0.
 *
 * @param meter where to record
 * @returns stops the recording
 */
export function observeV8Heap(meter: Meter): () => void {
  const size = meter.createObservableUpDownCounter("v8js.memory.heap.space.size", {
    unit: "By",
    description: "Total heap memory size pre-allocated for a heap space.",
  });
  const used = meter.createObservableGauge("v8js.memory.heap.used", {
    unit: "By",
    description: "Heap Memory size allocated.",
  });
  const available = meter.createObservableGauge("v8js.memory.heap.space.available_size", {
    unit: "By",
    description: "Heap space available size.",
  });
  const physical = meter.createObservableGauge("v8js.memory.heap.space.physical_size", {
    unit: "By",
    description: "Committed size of a heap space.",
  });
  const observables = [size, used, available, physical];

  const observe = (result: BatchObservableResult): void => {
    for (const space of getHeapSpaceStatistics()) {
      const attributes = { "v8js.heap.space.name": space.space_name };
      result.observe(size, space.space_size, attributes);
      result.observe(used, space.space_used_size, attributes);
      result.observe(available, space.space_available_size, attributes);
      result.observe(physical, space.physical_space_size, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}

/**
 * Records the heap of a runtime without V8, in bytes. There is no semantic convention for
 * JavaScriptCore, so Prometheus gets the names that prom-client gives `process.memoryUsage()` and
 * that many dashboards use: `nodejs_heap_size_total_bytes`, `nodejs_heap_size_used_bytes` and
 * `nodejs_external_memory_bytes`. On Bun, used and external are as of the last garbage collection,
 * and used includes external. `arrayBuffers` is left out because it is always 0 on Bun.
 *
 * @param meter where to record
 * @returns stops the recording
 */
export function observeProcessHeap(meter: Meter): () => void {
  const total = meter.createObservableGauge("nodejs.heap_size.total", {
    unit: "By",
    description: "Heap memory size reserved in bytes.",
  });
  const used = meter.createObservableGauge("nodejs.heap_size.used", {
    unit: "By",
    description: "Heap memory size used in bytes, as of the last garbage collection.",
  });
  const external = meter.createObservableGauge("nodejs.external_memory", {
    unit: "By",
    description: "Memory size outside of the heap in bytes, as of the last garbage collection.",
  });
  const observables = [total, used, external];

  const observe = (result: BatchObservableResult): void => {
    const memory = process.memoryUsage();
    result.observe(total, memory.heapTotal);
    result.observe(used, memory.heapUsed);
    result.observe(external, memory.external);
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}
