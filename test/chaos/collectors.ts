import { setTimeout as delay } from "node:timers/promises";
import { collectorEnvironment } from "../../stack/collector/environment.ts";
import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { Part } from "./supervised-program.ts";
import { Program } from "./program.ts";
import type { Environment } from "./program.ts";

/** Programs send to an agent, which keeps a queue on disk and sends to a gateway. */
export interface Collectors {
  readonly agent: Part;
  readonly gateway: Part;
}

export async function startCollectors(
  binary: string,
  ports: { readonly agent: CollectorPorts; readonly gateway: CollectorPorts },
  queueFolder: string,
): Promise<Collectors> {
  const gateway = await Part.start("gateway", () => startCollector(binary, [], ports.gateway));
  const agent = await Part.start(
    "agent",
    () =>
      startCollector(binary, ["stack/collector/agent.yaml"], ports.agent, {
        COLLECTOR_GATEWAY_ENDPOINT: `127.0.0.1:${ports.gateway.grpc}`,
        COLLECTOR_GATEWAY_INSECURE: "true",
        COLLECTOR_QUEUE_DIRECTORY: queueFolder,
      }),
  );
  return { agent, gateway };
}

async function startCollector(
  binary: string,
  overlays: readonly string[],
  ports: CollectorPorts,
  environment: Environment = {},
): Promise<Program> {
  const configs = ["otel-collector.yaml", ...overlays].flatMap((file) => ["--config", file]);
  const program = new Program({
    name: overlays[0] ?? "otel-collector.yaml",
    command: [binary, ...configs],
    environment: {
      ...collectorEnvironment(ports),
      ...environment,
    },
  });
  await answers(`http://127.0.0.1:${ports.health}/`, program);
  return program;
}

/** Waits until a URL is answered, or the program that is to answer has ended. */
export async function answers(url: string, program: Program): Promise<void> {
  let ended = false;
  void program.ended.then(() => ended = true);
  while (!ended) {
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return;
    await delay(50);
  }
  throw new Error(`${program.name} ends: ${program.complaints.slice(-5).join("\n")}`);
}
