// Compares what applications counted by themselves with what Prometheus shows of their processes.

import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import { differences } from "./ledger.ts";
import type { Counts, Difference } from "./ledger.ts";
import type { Prometheus, Sample } from "./prometheus.ts";
import type { Worker } from "./worker-process.ts";

/** The agent pauses for up to half a minute before it connects to a gateway again. */
const PATIENCE_MS = 150_000;
const INTERVAL_MS = 1000;

/**
 * Waits until Prometheus shows what was counted.
 *
 * @param pair What `client.ts` counted, see `scripts.ts`.
 * @returns What is still different after 150 s; nothing, if all is well.
 */
export async function reconcile(
  prometheus: Prometheus,
  { servers, clients }: Fleet,
  pair: Counts,
): Promise<Difference[]> {
  const deadline = performance.now() + PATIENCE_MS;
  while (true) {
    const found: Difference[] = [];
    for (const client of clients) found.push(...await ofClient(prometheus, client));
    for (const { worker } of servers) found.push(...await ofServer(prometheus, worker));
    found.push(...await ofScripts(prometheus, pair));
    if (found.length === 0 || performance.now() > deadline) return found;
    await delay(INTERVAL_MS);
  }
}

async function ofClient(prometheus: Prometheus, worker: Worker): Promise<Difference[]> {
  const ended = await shown(prometheus, "grpc_client_call_duration_seconds_count", worker);
  const attempts = await shown(prometheus, "grpc_client_attempt_started_total", worker);
  const attemptsEnded = await shown(
    prometheus,
    "grpc_client_attempt_duration_seconds_count",
    worker,
  );
  return [
    ...differences(
      worker.instance,
      await worker.counts(),
      sumBy(ended, "grpc_method", "grpc_target", "grpc_status"),
    ),
    ...inFlight(worker, "attempts", attempts, attemptsEnded),
  ];
}

async function ofServer(prometheus: Prometheus, worker: Worker): Promise<Difference[]> {
  const started = await shown(prometheus, "grpc_server_call_started_total", worker);
  const ended = await shown(prometheus, "grpc_server_call_duration_seconds_count", worker);
  const own = await worker.counts();
  const ofKind = (kind: string): Counts =>
    Object.fromEntries(
      Object.entries(own).filter(([key]) => key.startsWith(`${kind} `))
        .map(([key, count]) => [key.slice(kind.length + 1), count]),
    );
  return [
    ...differences(worker.instance, ofKind("started"), sumBy(started, "grpc_method")),
    ...inFlight(worker, "calls", started, ended),
    ...overstated(
      worker,
      ofKind("answered"),
      sumBy(ended, "grpc_method", "grpc_status"),
    ),
  ];
}

/** What had started and not ended, though nothing runs any more. */
function inFlight(
  worker: Worker,
  what: string,
  started: readonly Sample[],
  ended: readonly Sample[],
): Difference[] {
  const byMethod = sumBy(ended, "grpc_method", "grpc_target");
  return differences(worker.instance, sumBy(started, "grpc_method", "grpc_target"), byMethod)
    .map((difference) => ({ ...difference, what: `${what} in flight: ${difference.what}` }));
}

/**
 * Statuses that more calls ended with than the application answered with. Fewer may have: a call that
 * is reset while its status is on the way is CANCELLED. That and the deadline come from the client.
 */
function overstated(worker: Worker, answered: Counts, shown: Counts): Difference[] {
  return differences(worker.instance, answered, shown)
    .filter(({ what, own, shown }) => shown > own && !/ (CANCELLED|DEADLINE_EXCEEDED)$/.test(what));
}

async function ofScripts(
  prometheus: Prometheus,
  { calls, succeeded }: Counts,
): Promise<Difference[]> {
  const client = await prometheus.query(
    'sum by (grpc_status) (grpc_client_call_duration_seconds_count{instance="client.ts"})',
  );
  const server = await prometheus.query(
    'sum by (grpc_status) (grpc_server_call_duration_seconds_count{instance="server.ts"})',
  );
  return [
    ...differences("client.ts", { OK: calls! }, sumBy(client, "grpc_status")),
    ...differences("server.ts", { OK: succeeded! }, sumBy(server, "grpc_status")),
  ];
}

function shown(prometheus: Prometheus, metric: string, { instance }: Worker): Promise<Sample[]> {
  return prometheus.query(`${metric}{instance="${instance}"}`);
}

/** The sums of samples by some of their labels; those without one of these go by the others. */
function sumBy(samples: readonly Sample[], ...names: readonly string[]): Counts {
  const sums: Record<string, number> = {};
  for (const { labels, value } of samples) {
    const key = names.flatMap((name) => labels[name] ?? []).join(" ");
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}
