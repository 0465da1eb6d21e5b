import { createHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Histogram } from "node:perf_hooks";
import { clearTimeout, setTimeout } from "node:timers";
import type { BatchObservableResult, Meter } from "@opentelemetry/api";

/**
 * Milliseconds between two samples of the delay. Measured idle cost on Deno: about 1.5 % of a core;
 * over 2 % with half of this interval.
 */
const RESOLUTION = 20;

/**
 * With fewer samples, percentiles mean nothing: wait for the next collection, as
 * `@opentelemetry/instrumentation-runtime-node` does.
 */
const LEAST_SAMPLES = 5;

interface DelayMonitor {
  /** Nanoseconds beyond the expected interval. */
  histogram: Histogram;
  stop(): void;
}

interface Statistic {
  name: string;
  description: string;
  read(histogram: Histogram): number;
}

const STATISTICS: readonly Statistic[] = [
  { name: "min", description: "Event loop minimum delay.", read: (h) => h.min },
  { name: "max", description: "Event loop maximum delay.", read: (h) => h.max },
  { name: "mean", description: "Event loop mean delay.", read: (h) => h.mean },
  { name: "stddev", description: "Event loop standard deviation delay.", read: (h) => h.stddev },
  { name: "p50", description: "Event loop 50 percentile delay.", read: (h) => h.percentile(50) },
  { name: "p90", description: "Event loop 90 percentile delay.", read: (h) => h.percentile(90) },
  { name: "p99", description: "Event loop 99 percentile delay.", read: (h) => h.percentile(99) },
];

/**
 * Records `nodejs.eventloop.delay.*` in seconds, the gauges of the OpenTelemetry semantic
 * conventions (https://opentelemetry.io/docs/specs/semconv/runtime/nodejs-metrics/), on runtimes
 * other than Node.js. Each collection covers the time since the previous one.
 *
 * An idle loop has well under a millisecond here. The monitor of Node.js measures whole timer
 * intervals, so it has 10 ms more.
 *
 * @param meter where to record
 * @param runtime selects the source. Bun's `monitorEventLoopDelay` is accurate; Deno's does not
 * notice a blocked loop, so a timer is measured there. Neither keeps the process alive.
 * @returns stops the measurement
 */
export function observeEventLoopDelay(meter: Meter, runtime: "bun" | "deno"): () => void {
  const { histogram, stop } = runtime === "bun" ? nativeMonitor() : timerMonitor();
  const gauges = STATISTICS.map(({ name, description, read }) => ({
    gauge: meter.createObservableGauge(`nodejs.eventloop.delay.${name}`, {
      unit: "s",
      description,
    }),
    read,
  }));
  const observables = gauges.map(({ gauge }) => gauge);

  const observe = (result: BatchObservableResult): void => {
    if (histogram.count < LEAST_SAMPLES) return;
    for (const { gauge, read } of gauges) result.observe(gauge, read(histogram) / 1e9);
    histogram.reset();
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => {
    meter.removeBatchObservableCallback(observe, observables);
    stop();
  };
}

function nativeMonitor(): DelayMonitor {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  histogram.enable();
  return { histogram, stop: () => histogram.disable() };
}

function timerMonitor(): DelayMonitor {
  const histogram = createHistogram();
  // Not `setInterval`: after a late tick, it fires the next one early to catch up.
  const arm = (): NodeJS.Timeout => {
    const due = performance.now() + RESOLUTION;
    return setTimeout(() => {
      // A histogram accepts only whole numbers from 1.
      histogram.record(Math.max(1, Math.round((performance.now() - due) * 1e6)));
      timer = arm();
    }, RESOLUTION).unref();
  };
  let timer = arm();
  return { histogram, stop: () => clearTimeout(timer) };
}
