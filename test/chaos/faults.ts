import { setTimeout as delay } from "node:timers/promises";
import type { SmallDisk } from "./disk.ts";
import type { Fleet, ProxiedServer } from "./fleet.ts";
import type { Part } from "./supervised-program.ts";
import type { Fault, FaultKind } from "./plan.ts";
import type { Runtime, Worker } from "./worker-process.ts";

/** What faults happen to. */
export interface Victims {
  readonly agent: Part;
  readonly gateway: Part;
  readonly prometheus: Part;
  readonly fleet: Fleet;
  /** The agent's; undefined if it cannot be filled. */
  readonly disk: SmallDisk | undefined;
  readonly log: (line: string) => void;
}

/** A fault that has happened. */
export interface InjectedFault {
  readonly kind: FaultKind;
  /** Of the process that it happened to; undefined for Collectors and Prometheus. */
  readonly runtime: Runtime | undefined;
}

/**
 * Has each fault of a plan happen at its time; two that concern the same program come one after the
 * other.
 *
 * @param durationMs How long the run is.
 * @returns What happened, when the time is over and all that was stopped runs again.
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
    // What cannot be started again is told of when the time is over.
    repaired.catch(() => {});
    repairs.push(repaired);
  }
  await delay(Math.max(0, beginMs + durationMs - performance.now()));
  await Promise.all(repairs);
  return injected;
}

interface Injection {
  readonly runtime?: Runtime;
  /** To whom, for people. */
  readonly what: string;
  /** Resolves when all runs again; undefined if the fault is impossible here. */
  readonly repaired: Promise<void> | undefined;
}

function inject(fault: Fault, { agent, gateway, prometheus, fleet, disk }: Victims): Injection {
  const { kind, signal, awayMs } = fault;
  const stopped = `${signal}, ${(awayMs / 1000).toFixed(1)} s`;
  const stop = (part: Part) => ({ what: stopped, repaired: part.outage(signal, awayMs) });
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

/** With the gateway away the agent writes to its queue, which has no room. */
async function fillFor(disk: SmallDisk, ms: number): Promise<void> {
  await disk.fill();
  await delay(ms);
  await disk.free();
}
