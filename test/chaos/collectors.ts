import { setTimeout as delay } from "node:timers/promises";
import { collectorEnvironment } from "../../stack/collector/environment.ts";
import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { SupervisedProgram } from "./supervised-program.ts";
import { Program } from "./program.ts";
import type { Environment } from "../support/script.ts";

/** The Collectors of a run: programs push to the agent, which queues on disk and sends to the gateway. */
export interface Collectors {
  readonly agent: SupervisedProgram;
  readonly gateway: SupervisedProgram;
}

/** Starts both Collectors and waits until they are healthy. */
export async function startCollectors(
  binary: string,
  ports: { readonly agent: CollectorPorts; readonly gateway: CollectorPorts },
  queueFolder: string,
): Promise<Collectors> {
  const gateway = await SupervisedProgram.start(
    "gateway",
    () => startCollector(binary, [], ports.gateway),
  );
  const agent = await SupervisedProgram.start(
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

/**
 * Waits until a URL answers with success.
 *
 * @throws {Error} if the program that serves the URL ends first.
 */
export async function answers(url: string, program: Program): Promise<void> {
  let ended = false;
  void program.ended.then(() => ended = true);
  while (!ended) {
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return;
    await delay(50);
  }
  throw new Error(`${program.name} ends: ${program.errorLines.slice(-5).join("\n")}`);
}
