import type { ChannelInterface } from "@grpc/grpc-js";
import type { LoadBalancingMetrics } from "./load-balancing-metrics.ts";
import { hookOutlierDetection } from "./outlier-detection-hooks.ts";
import { watchPolicies } from "./policy-tree.ts";
import { hookWeightedRoundRobin } from "./weighted-round-robin-hooks.ts";

/** Records the load balancing policies of a channel, also those that it gets later. */
export function hookPolicies(channel: ChannelInterface, metrics: LoadBalancingMetrics): void {
  watchPolicies(channel, (policy, place) => {
    switch (policy.getTypeName()) {
      case "weighted_round_robin":
        return hookWeightedRoundRobin(policy, place, metrics);
      case "outlier_detection":
        return hookOutlierDetection(policy, metrics);
    }
  });
}
