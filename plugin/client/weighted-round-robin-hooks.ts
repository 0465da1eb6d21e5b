/**
 * The boundary to grpc-js's policy `weighted_round_robin`, which exists from 1.14 on. Only this file
 * knows its private shape.
 *
 * @module
 */
import { connectivityState as State } from "@grpc/grpc-js";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";
import type { LoadBalancingMetrics, SchedulerUpdate } from "./load-balancing-metrics.ts";
import type { Endpoint, Place, Policy } from "./policy-tree.ts";

/** What grpc-js keeps of an endpoint. */
interface WeightedEndpoint {
  /** 0 until the first load report. */
  readonly weight: number;
  /** The time of the latest load report, or the creation of the endpoint. */
  readonly lastUpdated: Date;
  readonly child?: { readonly endpoint?: Endpoint };
}

interface WeightedRoundRobin extends Policy {
  readonly children: ReadonlyMap<string, WeightedEndpoint>;
  readonly latestConfig: { getWeightExpirationPeriodMs(): number } | null;
  /** Called for each endpoint that is ready, before {@link updateState}. */
  getWeight(endpoint: WeightedEndpoint): number;
  updateState(state: State, ...rest: unknown[]): void;
}

function isWeightedRoundRobin(policy: Policy): policy is WeightedRoundRobin {
  const { children, getWeight, updateState } = policy as Partial<WeightedRoundRobin>;
  return children instanceof Map && typeof getWeight === "function" &&
    typeof updateState === "function";
}

/** Records each update of a policy's scheduler. Warns once if the policy has another shape. */
export function hookWeightedRoundRobin(
  policy: Policy,
  place: Place,
  metrics: LoadBalancingMetrics,
): void {
  if (!isWeightedRoundRobin(policy)) {
    warnOnce(
      "gRPC metrics of weighted round robin are off: this version of @grpc/grpc-js has no " +
        "WeightedRoundRobinLoadBalancer with children, getWeight and updateState",
    );
    return;
  }
  const record = metrics.schedulerRecorder(policy);
  if (record === undefined) return;
  /** The weights of the update in progress. */
  let update = emptyUpdate();

  replaceMethod(
    policy,
    "getWeight",
    (getWeight) =>
      function (this: WeightedRoundRobin, endpoint) {
        const weight = getWeight.call(this, endpoint);
        shielded(() => addEndpoint(update, this, endpoint, weight));
        return weight;
      },
  );
  replaceMethod(
    policy,
    "updateState",
    (updateState) =>
      function (this: WeightedRoundRobin, state, ...rest) {
        const ended = update;
        update = emptyUpdate();
        if (state === State.READY) {
          shielded(() => record(ended, place.labels(firstEndpoint(this))));
        }
        updateState.call(this, state, ...rest);
      },
  );
}

function emptyUpdate(): SchedulerUpdate {
  return { weights: [], notYetUsable: 0, stale: 0 };
}

/** Adds what {@link WeightedRoundRobin.getWeight} returned for an endpoint to an update. */
function addEndpoint(
  update: SchedulerUpdate,
  { latestConfig }: WeightedRoundRobin,
  endpoint: WeightedEndpoint,
  weight: number,
): void {
  update.weights.push(weight);
  if (weight > 0) return;
  const ageMs = Date.now() - endpoint.lastUpdated.getTime();
  // An endpoint without a report has the time of its creation, and does not become stale.
  const isStale = endpoint.weight > 0 && latestConfig !== null &&
    ageMs >= latestConfig.getWeightExpirationPeriodMs();
  if (isStale) update.stale++;
  else update.notYetUsable++;
}

/** All endpoints of a policy in a locality are in that locality. */
function firstEndpoint({ children }: WeightedRoundRobin): Endpoint | undefined {
  for (const { child } of children.values()) return child?.endpoint;
  return undefined;
}
