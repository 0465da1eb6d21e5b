import { collectorBinary } from "../../stack/collector/binary.ts";
import { collectorEnvironment } from "../../stack/collector/environment.ts";
import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { freePorts } from "../../stack/ports.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { Script } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";

/** What a Collector is started with. */
export interface CollectorOptions {
  /** Its configuration; one that takes its addresses as `otel-collector.yaml` does, the default. */
  readonly config?: string;
  /** Configurations that are laid over it, in this order. */
  readonly overlays?: readonly string[];
  /** Besides the addresses, which are set by the ports. */
  readonly environment?: Environment;
  /** Those of a Collector that has stopped, to start it again in its place; any free ones else. */
  readonly ports?: CollectorPorts;
}

/** A Collector that is healthy. */
export interface RunningCollector {
  readonly script: Script;
  readonly ports: CollectorPorts;
  /** Where it shows again what was sent to it. */
  readonly metricsUrl: string;
}

/**
 * Starts the real Collector and waits until it is healthy. It is killed when the owner is done, if
 * it still runs then.
 *
 * @throws {Error} when it is neither there nor can be built, or is not healthy within 30 s.
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
 * Ports below those that systems give away unasked: nobody is given one while its Collector is away.
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
