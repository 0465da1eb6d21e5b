import process from "node:process";
import type { BatchObservableResult, Meter, MeterProvider, Observable } from "@opentelemetry/api";
import { attempt, readProc } from "./proc.ts";
import type { ProcReading } from "./proc.ts";

interface Reading extends ProcReading {
  cpu: number | undefined;
  residentMemory: number | undefined;
  startTime: number | undefined;
}

interface ProcessMetric {
  source: keyof Reading;
  kind: "counter" | "gauge";
  name: string;
  unit: string;
  description: string;
}

/**
 * The comments give the names in Prometheus, where the translation appends the unit and `_total`.
 */
const METRICS: readonly ProcessMetric[] = [
  { // process_cpu_seconds_total
    source: "cpu",
    kind: "counter",
    name: "process.cpu",
    unit: "s",
    description: "Total user and system CPU time spent in seconds.",
  },
  { // process_resident_memory_bytes
    source: "residentMemory",
    kind: "gauge",
    name: "process.resident_memory",
    unit: "By",
    description: "Resident memory size in bytes.",
  },
  { // process_start_time_seconds
    source: "startTime",
    kind: "gauge",
    name: "process.start_time",
    unit: "s",
    description: "Start time of the process since unix epoch in seconds.",
  },
  { // process_virtual_memory_bytes
    source: "virtualMemory",
    kind: "gauge",
    name: "process.virtual_memory",
    unit: "By",
    description: "Virtual memory size in bytes.",
  },
  { // process_virtual_memory_max_bytes
    source: "maxVirtualMemory",
    kind: "gauge",
    name: "process.virtual_memory.max",
    unit: "By",
    description: "Maximum amount of virtual memory available in bytes.",
  },
  { // process_open_fds
    source: "openFds",
    kind: "gauge",
    name: "process.open_fds",
    unit: "{fd}",
    description: "Number of open file descriptors.",
  },
  { // process_max_fds
    source: "maxFds",
    kind: "gauge",
    name: "process.max_fds",
    unit: "{fd}",
    description: "Maximum number of open file descriptors.",
  },
  { // process_network_receive_bytes_total
    source: "networkReceived",
    kind: "counter",
    name: "process.network.receive",
    unit: "By",
    description: "Number of bytes received by the process over the network.",
  },
  { // process_network_transmit_bytes_total
    source: "networkTransmitted",
    kind: "counter",
    name: "process.network.transmit",
    unit: "By",
    description: "Number of bytes sent by the process over the network.",
  },
];

/**
 * Records the `process_*` metrics that every Prometheus client library exports
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), with the help texts
 * of the Go library, through the meter `process`.
 *
 * CPU time, resident memory and start time exist everywhere. The others come from /proc: they exist
 * only on Linux, and on Deno only with all permissions. A value that cannot be read at the time of
 * the call gets no instrument, and Deno never prompts. As in Go, the two network counters count the
 * process's network namespace, which is the container, or the whole host if the process has no
 * namespace of its own.
 *
 * @param meterProvider where to record; values are read during its collections
 * @returns stops the recording
 */
export function observeProcess(meterProvider: MeterProvider): () => void {
  const meter = meterProvider.getMeter("process");
  // Computed once, because it must not move with the system clock, and rounded, because Date.now()
  // ticks in milliseconds. /proc truncates its boot time to a second; this is accurate to a tenth of
  // a second, on Deno apart from the time that loading the modules took.
  const startTime = Math.round(Date.now() - process.uptime() * 1000) / 1000;
  const read = (): Reading => ({
    ...readProc(),
    cpu: attempt(cpuSeconds),
    residentMemory: attempt(() => process.memoryUsage.rss()),
    startTime,
  });

  const available = read();
  const instruments = METRICS
    .filter(({ source }) => available[source] !== undefined)
    .map((metric) => ({ source: metric.source, instrument: createInstrument(meter, metric) }));
  const observables = instruments.map(({ instrument }) => instrument);

  const observe = (result: BatchObservableResult): void => {
    const reading = read();
    for (const { source, instrument } of instruments) {
      const value = reading[source];
      if (value !== undefined) result.observe(instrument, value);
    }
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}

function createInstrument(meter: Meter, metric: ProcessMetric): Observable {
  const { kind, name, unit, description } = metric;
  return kind === "counter"
    ? meter.createObservableCounter(name, { unit, description })
    : meter.createObservableGauge(name, { unit, description });
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
