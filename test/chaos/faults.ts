import { setTimeout as delay } from "node:timers/promises";
import type { Runtime } from "../support/script.ts";
import type { SmallDisk } from "./disk.ts";
import type { Fleet, ProxiedServer } from "./fleet.ts";
import type { SupervisedProgram } from "./supervised-program.ts";
import type { Fault, FaultKind } from "./plan.ts";
import type { Worker } from "./worker-process.ts";

/** The programs that faults are injected into. */
export interface Victims {
  readonly agent: SupervisedProgram;
  readonly gateway: SupervisedProgram;
  readonly prometheus: SupervisedProgram;
  readonly fleet: Fleet;
  /** The disk of the agent's queue; undefined if it cannot be filled. */
  readonly disk: SmallDisk | undefined;
  readonly log: (line: string) => void;
}

/** A fault that was injected. */
export interface InjectedFault {
  readonly kind: FaultKind;
  /** The runtime of the affected process; undefined for Collectors and Prometheus. */
  readonly runtime: Runtime | undefined;
}

/**
 * Injects each fault of a plan at its time. Two outages of the same program never overlap.
 *
 * @param durationMs The length of the run in milliseconds.
 * @returns The injected faults, once the time is over and every stopped program runs again.
 */
export async function injectFaults(
  plan: readonly Fault[],
  durationMs: number,
  victims: Victims,
): Promise<InjectedFault[]> {
  const beginMs = performance.now();
  const injected: InjectedFault[] = [];
  const repairs: Promise<void>[] = [];
  for (const fault of plan) {
    await delay(Math.max(0, beginMs + fault.atMs - performance.now()));
    const { runtime, what, repaired } = inject(fault, victims);
    if (repaired === undefined) continue;
    victims.log(`${(fault.atMs / 1000).toFixed(1).padStart(6)} s  ${fault.kind}: ${what}`);
    injected.push({ kind: fault.kind, runtime });
    // A program that does not start again fails the run at its end, see below.
    repaired.catch(() => {});
    repairs.push(repaired);
  }
  await delay(Math.max(0, beginMs + durationMs - performance.now()));
  await Promise.all(repairs);
  return injected;
}

interface Injection {
  readonly runtime?: Runtime;
  /** What it happened to, for the log. */
  readonly what: string;
  /** Resolves when everything runs again; undefined if the fault cannot be injected here. */
  readonly repaired: Promise<void> | undefined;
}

function inject(fault: Fault, { agent, gateway, prometheus, fleet, disk }: Victims): Injection {
  const { kind, signal, awayMs } = fault;
  const stopped = `${signal}, ${(awayMs / 1000).toFixed(1)} s`;
  const stop = (program: SupervisedProgram) => ({
    what: stopped,
    repaired: program.outage(signal, awayMs),
  });
  switch (kind) {
    case "client killed":
      return kill(choose(fleet.clients.filter(isMortal), fault), 0);
    case "server killed":
      return kill(
        choose(fleet.servers.map(({ worker }) => worker).filter(isMortal), fault),
        awayMs,
      );
    case "connections reset":
      return reset(choose(fleet.servers, fault));
    case "agent stopped":
      return stop(agent);
    case "gateway stopped":
      return stop(gateway);
    case "Prometheus stopped":
      return stop(prometheus);
    case "disk full":
      return {
        what: `gateway ${stopped}`,
        repaired: disk && gateway.outage(signal, 0, () => fillFor(disk, awayMs)),
      };
  }
}

function isMortal({ options }: Worker): boolean {
  return !options.steady;
}

function choose<T>(among: readonly T[], { choice }: Fault): T {
  return among[Math.floor(choice * among.length)]!;
}

function kill(worker: Worker, awayMs: number): Injection {
  return {
    runtime: worker.options.runtime,
    what: worker.name,
    repaired: worker.kill(awayMs),
  };
}

function reset({ worker, proxy }: ProxiedServer): Injection {
  proxy.reset();
  return { runtime: worker.options.runtime, what: worker.name, repaired: Promise.resolve() };
}

/** While the gateway is away, the agent queues on its disk, which is full. */
async function fillFor(disk: SmallDisk, ms: number): Promise<void> {
  await disk.fill();
  await delay(ms);
  await disk.free();
}
