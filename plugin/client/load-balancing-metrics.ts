import type { Attributes } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import { startsToCount } from "../metrics/counted-once.ts";
import type {
  OutlierDetectionInstruments,
  WeightedRoundRobinInstruments,
} from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { recordValue } from "../metrics/series.ts";
import type { LoadBalancerLabels } from "./policy-tree.ts";

/** One update of the scheduler of the policy `weighted_round_robin`. */
export interface SchedulerUpdate {
  /** The weight of each endpoint that is ready; 0 if it has no usable one. */
  readonly weights: number[];
  notYetUsable: number;
  stale: number;
}

/** Records an update of a policy's scheduler. */
export type RecordUpdate = (update: SchedulerUpdate, labels: LoadBalancerLabels) => void;

/** The values of `grpc.lb.outlier_detection.detection_method` (gRFC A91). */
export type DetectionMethod = "success_rate" | "failure_percentage";

/** The values of `grpc.lb.outlier_detection.unenforced_reason` (gRFC A91). */
export type UnenforcedReason = "enforcement_percentage" | "max_ejection_overflow";

/** Records the ejections of a policy. */
export interface EjectionRecorder {
  /** Called for each endpoint that is ejected. */
  enforced(method: DetectionMethod, backendService: string): void;
  /** Called for each outlier that is left alone. */
  unenforced(method: DetectionMethod, reason: UnenforcedReason, backendService: string): void;
}

/**
 * Records the load balancing policies of the channels of one target: `weighted_round_robin` (gRFC A78)
 * and `outlier_detection` (gRFC A91).
 *
 * Plugins of one meter provider share its metrics: each metric counts a policy for the first plugin that
 * turns it on, with the labels of that plugin.
 */
export class LoadBalancingMetrics {
  readonly #weightedRoundRobin: WeightedRoundRobinInstruments | undefined;
  readonly #outlierDetection: OutlierDetectionInstruments | undefined;
  readonly #target: string;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #isOn: () => boolean;

  /**
   * @param target The channel's `grpc.target` label.
   * @param isOn Returns whether what happens now is recorded.
   */
  constructor(
    weightedRoundRobin: WeightedRoundRobinInstruments | undefined,
    outlierDetection: OutlierDetectionInstruments | undefined,
    target: string,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
  ) {
    this.#weightedRoundRobin = weightedRoundRobin;
    this.#outlierDetection = outlierDetection;
    this.#target = target;
    this.#optionalLabels = optionalLabels;
    this.#isOn = isOn;
  }

  /** Returns what records a policy's scheduler. Undefined if nothing is to be recorded. */
  schedulerRecorder(policy: object): RecordUpdate | undefined {
    const instruments = counting(this.#weightedRoundRobin, policy);
    if (instruments === undefined) return undefined;
    const { fallback, notYetUsable, stale, weights } = instruments;
    return (update, labels) => {
      if (!this.#isOn()) return;
      const attributes = {
        "grpc.target": this.#target,
        ...this.#optional("grpc.lb.locality", labels.locality),
        ...this.#optional("grpc.lb.backend_service", labels.backendService),
      };
      const usable = update.weights.filter((weight) => weight > 0).length;
      if (usable < 2) add(fallback, 1, attributes);
      if (update.notYetUsable > 0) add(notYetUsable, update.notYetUsable, attributes);
      if (update.stale > 0) add(stale, update.stale, attributes);
      for (const weight of update.weights) add(weights, weight, attributes);
    };
  }

  /** Returns what records a policy's ejections. Undefined if nothing is to be recorded. */
  ejectionRecorder(policy: object): EjectionRecorder | undefined {
    const instruments = counting(this.#outlierDetection, policy);
    if (instruments === undefined) return undefined;
    const attributes = (method: DetectionMethod, backendService: string) => ({
      "grpc.target": this.#target,
      ...this.#optional("grpc.lb.backend_service", backendService),
      "grpc.lb.outlier_detection.detection_method": method,
    });
    return {
      enforced: (method, backendService) => {
        if (this.#isOn()) add(instruments.enforced, 1, attributes(method, backendService));
      },
      unenforced: (method, reason, backendService) => {
        if (!this.#isOn()) return;
        add(instruments.unenforced, 1, {
          ...attributes(method, backendService),
          "grpc.lb.outlier_detection.unenforced_reason": reason,
        });
      },
    };
  }

  #optional(label: OptionalLabel, value: string): Attributes {
    return this.#optionalLabels.has(label) ? { [label]: value } : {};
  }
}

/** Returns those instruments that start to count a policy. Undefined if none does. */
function counting<Group extends Readonly<Record<keyof Group, object>>>(
  group: Group | undefined,
  policy: object,
): Partial<Group> | undefined {
  const entries = Object.entries<object>(group ?? {})
    .filter(([, instrument]) => startsToCount(instrument, policy));
  return entries.length === 0 ? undefined : Object.fromEntries(entries) as Partial<Group>;
}

function add(
  instrument: Parameters<typeof recordValue>[0] | undefined,
  value: number,
  attributes: Attributes,
): void {
  if (instrument !== undefined) recordValue(instrument, value, withinLimit(instrument, attributes));
}
