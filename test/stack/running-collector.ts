import { collectorBinary } from "../../stack/collector/binary.ts";
import { collectorEnvironment } from "../../stack/collector/environment.ts";
import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { freePorts } from "../../stack/ports.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { Script } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";

/** Options of {@link startCollector}. */
export interface CollectorOptions {
  /**
   * The configuration (`otel-collector.yaml` by default). It must read the same variables for
   * addresses.
   */
  readonly config?: string;
  /** Overlays for the configuration, in this order. */
  readonly overlays?: readonly string[];
  /** Variables other than the addresses, which follow from the ports. */
  readonly environment?: Environment;
  /** Ports of a stopped Collector, to start it again in its place. By default, any free ports. */
  readonly ports?: CollectorPorts;
}

/** A healthy Collector. */
export interface RunningCollector {
  readonly script: Script;
  readonly ports: CollectorPorts;
  /** The page that shows the metrics it received. */
  readonly metricsUrl: string;
}

/**
 * Starts the real Collector and waits until it is healthy. Kills it when the owner ends.
 *
 * @throws {Error} when the Collector is missing and can't be built, or is not healthy within 30 s.
 */
export async function startCollector(
  owner: Owner,
  { config = "otel-collector.yaml", overlays = [], environment = {}, ports }: CollectorOptions = {},
): Promise<RunningCollector> {
  const binary = await collectorBinary({ log: console.log });
  ports ??= await portsToKeep();
  const configs = [config, ...overlays].flatMap((file) => ["--config", file]);
  const script = new Script(owner, [binary, ...configs], {
    environment: {
      ...collectorEnvironment(ports),
      ...environment,
    },
  });
  const { health, prometheus } = ports;
  await eventually(() => scrape(`http://127.0.0.1:${health}/`), 30_000);
  return { script, ports, metricsUrl: `http://127.0.0.1:${prometheus}/metrics` };
}

/**
 * Returns ports below the ephemeral range, so that no other process gets them while the Collector
 * is stopped.
 */
function portsToKeep(): Promise<CollectorPorts> {
  const http = 10_000 + Math.floor(Math.random() * 20_000);
  return freePorts({
    http,
    grpc: http + 1,
    prometheus: http + 2,
    health: http + 3,
    telemetry: http + 4,
  });
}
