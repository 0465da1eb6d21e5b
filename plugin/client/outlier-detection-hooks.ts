/**
 * The boundary to grpc-js's policy `outlier_detection`. Only this file knows its private shape.
 *
 * The policy does not say which outliers it leaves alone, so this file repeats its checks on the same
 * counts.
 *
 * @module
 */
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";
import type {
  DetectionMethod,
  LoadBalancingMetrics,
  UnenforcedReason,
} from "./load-balancing-metrics.ts";
import { clusterBelow } from "./policy-tree.ts";
import type { Policy } from "./policy-tree.ts";

/** What grpc-js keeps of an endpoint. */
interface CheckedEndpoint {
  /** The calls of the interval that ended. */
  readonly counter: { getLastSuccesses(): number; getLastFailures(): number };
  /** Null unless the endpoint is ejected. */
  readonly currentEjectionTimestamp: Date | null;
}

/** The settings of both methods. */
interface MethodConfig {
  readonly minimum_hosts: number;
  readonly request_volume: number;
}

interface OutlierDetectionConfig {
  getMaxEjectionPercent(): number;
  getSuccessRateEjectionConfig(): (MethodConfig & { readonly stdev_factor: number }) | null;
  getFailurePercentageEjectionConfig(): (MethodConfig & { readonly threshold: number }) | null;
}

interface OutlierDetection extends Policy {
  readonly entryMap: { values(): Iterable<CheckedEndpoint> };
  readonly latestConfig: OutlierDetectionConfig | null;
  runSuccessRateCheck(timestamp: unknown): void;
  runFailurePercentageCheck(timestamp: unknown): void;
  eject(endpoint: CheckedEndpoint, timestamp: unknown): void;
}

const METHODS = ["runSuccessRateCheck", "runFailurePercentageCheck", "eject"] as const;

function isOutlierDetection(policy: Policy): policy is OutlierDetection {
  const known = policy as Partial<OutlierDetection>;
  return typeof known.entryMap?.values === "function" &&
    METHODS.every((name) => typeof known[name] === "function");
}

/** Records the ejections of a policy. Warns once if the policy has another shape. */
export function hookOutlierDetection(policy: Policy, metrics: LoadBalancingMetrics): void {
  if (!isOutlierDetection(policy)) {
    warnOnce(
      "gRPC metrics of outlier detection are off: this version of @grpc/grpc-js has no " +
        `OutlierDetectionLoadBalancer with entryMap, ${METHODS.join(", ")}`,
    );
    return;
  }
  const recorder = metrics.ejectionRecorder(policy);
  if (recorder === undefined) return;
  /** The endpoints that the check in progress ejects. */
  let ejected: Set<CheckedEndpoint> | undefined;

  replaceMethod(
    policy,
    "eject",
    (eject) =>
      function (this: OutlierDetection, endpoint, timestamp) {
        ejected?.add(endpoint);
        eject.call(this, endpoint, timestamp);
      },
  );
  hookCheck("runSuccessRateCheck", "success_rate", successRateOutliers);
  hookCheck("runFailurePercentageCheck", "failure_percentage", failurePercentageOutliers);

  function hookCheck(
    name: "runSuccessRateCheck" | "runFailurePercentageCheck",
    method: DetectionMethod,
    outliersOf: (
      config: OutlierDetectionConfig,
      endpoints: readonly CheckedEndpoint[],
    ) => readonly CheckedEndpoint[],
  ): void {
    replaceMethod(
      policy as OutlierDetection,
      name,
      (check) =>
        function (this: OutlierDetection, timestamp) {
          const endpoints = [...this.entryMap.values()];
          const before = endpoints.filter(isEjected);
          const enforced = ejected = new Set<CheckedEndpoint>();
          try {
            check.call(this, timestamp);
          } finally {
            ejected = undefined;
          }
          shielded(() => {
            const backendService = clusterBelow(this);
            for (const _ of enforced) recorder!.enforced(method, backendService);
            const { latestConfig } = this;
            if (latestConfig === null) return;
            const outliers = outliersOf(latestConfig, endpoints);
            const limit = latestConfig.getMaxEjectionPercent() * endpoints.length / 100;
            for (const reason of unenforcedReasons(outliers, enforced, new Set(before), limit)) {
              recorder!.unenforced(method, reason, backendService);
            }
          });
        },
    );
  }
}

function isEjected({ currentEjectionTimestamp }: CheckedEndpoint): boolean {
  return currentEjectionTimestamp !== null;
}

/**
 * Returns why each outlier that was not ejected was left alone. grpc-js takes the outliers in turn, until
 * it reaches the limit.
 *
 * @param ejected The endpoints that were ejected before, to which this adds those that are now.
 */
function unenforcedReasons(
  outliers: readonly CheckedEndpoint[],
  enforced: ReadonlySet<CheckedEndpoint>,
  ejected: Set<CheckedEndpoint>,
  limit: number,
): UnenforcedReason[] {
  const reasons: UnenforcedReason[] = [];
  for (const outlier of outliers) {
    if (enforced.has(outlier)) ejected.add(outlier);
    else reasons.push(ejected.size >= limit ? "max_ejection_overflow" : "enforcement_percentage");
  }
  return reasons;
}

/** Returns the endpoints with enough calls, unless there are too few of these endpoints. */
function candidates(
  { request_volume, minimum_hosts }: MethodConfig,
  endpoints: readonly CheckedEndpoint[],
): readonly CheckedEndpoint[] {
  const found = endpoints.filter(({ counter }) =>
    counter.getLastSuccesses() + counter.getLastFailures() >= request_volume
  );
  return found.length < minimum_hosts ? [] : found;
}

/** The success rate of an endpoint. Not a number if it had no calls, which grpc-js never ejects. */
function successRate({ counter }: CheckedEndpoint): number {
  const successes = counter.getLastSuccesses();
  return successes / (successes + counter.getLastFailures());
}

/** Returns the endpoints whose success rate is too far below the average (gRFC A50). */
function successRateOutliers(
  latest: OutlierDetectionConfig,
  endpoints: readonly CheckedEndpoint[],
): readonly CheckedEndpoint[] {
  const config = latest.getSuccessRateEjectionConfig();
  if (config === null) return [];
  const checked = candidates(config, endpoints);
  const rates = checked.map(successRate);
  const sum = (values: readonly number[]) => values.reduce((one, other) => one + other, 0);
  const mean = sum(rates) / rates.length;
  const deviation = Math.sqrt(
    sum(rates.map((rate) => (rate - mean) * (rate - mean))) / rates.length,
  );
  const threshold = mean - deviation * (config.stdev_factor / 1000);
  return checked.filter((_, index) => rates[index]! < threshold);
}

/** Returns the endpoints with too many failures (gRFC A50). */
function failurePercentageOutliers(
  latest: OutlierDetectionConfig,
  endpoints: readonly CheckedEndpoint[],
): readonly CheckedEndpoint[] {
  const config = latest.getFailurePercentageEjectionConfig();
  if (config === null) return [];
  return candidates(config, endpoints).filter(({ counter }) => {
    const failures = counter.getLastFailures();
    return failures * 100 / (failures + counter.getLastSuccesses()) > config.threshold;
  });
}
