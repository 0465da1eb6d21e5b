import type { CollectorPorts } from "../../stack/collector/environment.ts";
import type { Random } from "../support/random.ts";
import type { Environment, Runtime } from "../support/script.ts";
import { Probe } from "./availability.ts";
import { TcpProxy } from "./proxy.ts";
import { RUNTIMES, Worker } from "./worker-process.ts";

const EXPORT_INTERVAL_MS = 2000;

/** A server with the proxy that its clients connect to. */
export interface ProxiedServer {
  readonly worker: Worker;
  readonly proxy: TcpProxy;
  /** The proxy's address. */
  readonly address: string;
  /** Connects through the proxy, as clients do. */
  readonly probe: Probe;
}

/** The ports of a server. */
export interface ServerPorts {
  readonly server: number;
  readonly proxy: number;
}

/** All servers and clients that keep their own counts. */
export interface Fleet {
  readonly servers: readonly ProxiedServer[];
  readonly clients: readonly Worker[];
  readonly workers: readonly Worker[];
}

export interface FleetOptions {
  readonly random: Random;
  readonly agent: CollectorPorts;
  /** The ports of two servers for each runtime. */
  readonly ports: readonly ServerPorts[];
  /** Called when a process has started or is about to stop. */
  readonly onChange: () => void;
}

/**
 * Starts, for each runtime, a server and a client that are never killed, and a server and a client
 * that are. In each pair one is scraped and the other pushes. Each client calls two servers: those
 * of the other runtimes at first, and random ones after it was killed and started again.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { random, agent, ports, onChange } = options;
  const kinds = RUNTIMES.flatMap((runtime) =>
    [true, false].map((steady) => ({ runtime, steady, pulls: pulls(runtime, steady) }))
  );
  const servers = await Promise.all(kinds.map(async ({ runtime, steady, pulls }, i) => {
    const { server, proxy: proxyPort } = ports[i]!;
    const worker = new Worker({
      runtime,
      role: "server",
      steady,
      environment: pulls ? PULL : push(runtime, agent),
      args: () => [`127.0.0.1:${server}`],
      onChange,
    });
    await worker.start();
    const proxy = await TcpProxy.listen(proxyPort, server);
    const address = `127.0.0.1:${proxyPort}`;
    return { worker, proxy, address, probe: new Probe(address) };
  }));

  const clients = await Promise.all(kinds.map(async ({ runtime, steady, pulls }) => {
    const first = otherRuntimes(runtime).map((other, i) =>
      servers.find(({ worker: { options } }) =>
        options.runtime === other && options.steady === (i === 0)
      )!.address
    );
    let started = 0;
    const worker = new Worker({
      runtime,
      role: "client",
      steady,
      environment: pulls ? push(runtime, agent) : PULL,
      args: () => {
        const addresses = started++ === 0 ? first : [random.of(servers), random.of(servers)]
          .map(({ address }) => address);
        return [`${random.between(0, 2 ** 31)}`, ...new Set(addresses)];
      },
      onChange,
    });
    await worker.start();
    return worker;
  }));
  return { servers, clients, workers: [...servers.map(({ worker }) => worker), ...clients] };
}

/** Whether a server is scraped. The client of the same kind does the opposite. */
function pulls(runtime: Runtime, steady: boolean): boolean {
  return steady === (runtime === "deno");
}

function otherRuntimes(runtime: Runtime): Runtime[] {
  const index = RUNTIMES.indexOf(runtime);
  return [1, 2].map((step) => RUNTIMES[(index + step) % RUNTIMES.length]!);
}

const PULL: Environment = {
  OTEL_METRICS_EXPORTER: "prometheus",
  OTEL_EXPORTER_PROMETHEUS_PORT: "0",
};

/** The variables of a process that pushes to a Collector. Each runtime uses a different protocol. */
export function push(runtime: Runtime, { grpc, http }: CollectorPorts): Environment {
  const protocol = { node: "grpc", bun: "http/protobuf", deno: "http/json" }[runtime];
  return {
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${protocol === "grpc" ? grpc : http}`,
    OTEL_METRIC_EXPORT_INTERVAL: `${EXPORT_INTERVAL_MS}`,
  };
}
