import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { StallProbe } from "./stall-probe.ts";

/** What both programs of a long run say about themselves. */
export interface Reading {
  readonly heapMB: number;
  readonly residentMB: number;
  /** The longest stall of the event loop since the last reading. */
  readonly stallMs: number;
}

/** Telemetry of a program, and how to read the program's state. */
export interface LongRun {
  readonly plugin: GrpcOpenTelemetry;
  /** The address of the metrics. */
  readonly url: string;
  reading(): Reading;
}

/**
 * Starts a metrics endpoint, with the plugin's metrics or with none.
 *
 * @param variant `plugin` or `bare`.
 */
export async function startLongRun(variant: string | undefined): Promise<LongRun> {
  const reader = new PrometheusReader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const { url } = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
  const probe = new StallProbe();
  return {
    plugin: new GrpcOpenTelemetry(variant === "plugin" ? { meterProvider } : {}),
    url,
    reading() {
      const { heapUsed, rss } = process.memoryUsage();
      const stallMs = probe.longestMs();
      probe.reset();
      return { heapMB: heapUsed / 1e6, residentMB: rss / 1e6, stallMs };
    },
  };
}
