import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import { differences } from "./ledger.ts";
import type { Counts, Difference } from "./ledger.ts";
import type { Prometheus, Sample } from "./prometheus.ts";
import type { Worker } from "./worker-process.ts";

/** Generous, because the agent waits for up to 30 s before it connects to the gateway again. */
const PATIENCE_MS = 150_000;
const INTERVAL_MS = 1000;

/**
 * Compares the counts that applications keep themselves with what Prometheus shows, until both are
 * equal.
 *
 * @param pair The counts of `client.ts`, see {@link ScriptPair}.
 * @returns The differences that remain after 150 s, usually none.
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

/** Calls or attempts that are still in flight for Prometheus, though none runs any more. */
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
 * Statuses that Prometheus shows more often than the application answered with them. Fewer are
 * possible: a call that is reset while its status is on its way ends as CANCELLED. CANCELLED and
 * DEADLINE_EXCEEDED come from the client, so they are not compared.
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

/** Sums samples by some of their labels. A label that a sample lacks is left out of its key. */
function sumBy(samples: readonly Sample[], ...names: readonly string[]): Counts {
  const sums: Record<string, number> = {};
  for (const { labels, value } of samples) {
    const key = names.flatMap((name) => labels[name] ?? []).join(" ");
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}
