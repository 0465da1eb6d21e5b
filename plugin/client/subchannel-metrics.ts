import type { Attributes, Context, Counter, UpDownCounter } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import { startsToCount } from "../metrics/counted-once.ts";
import type { SubchannelInstruments } from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { recordValue } from "../metrics/series.ts";
import { NOWHERE } from "./policy-tree.ts";
import type { LabelsOfSubchannel } from "./policy-tree.ts";

/** Records the connections of the channels of one target (gRFC A94). */
export class SubchannelMetrics {
  readonly #instruments: SubchannelInstruments;
  readonly #target: string;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #isOn: () => boolean;
  readonly #labelsOf: LabelsOfSubchannel | undefined;

  /**
   * @param target The channel's `grpc.target` label.
   * @param isOn Returns whether connections that begin are recorded.
   * @param labelsOf Undefined if no label of load balancers is on.
   */
  constructor(
    instruments: SubchannelInstruments,
    target: string,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
    labelsOf?: LabelsOfSubchannel,
  ) {
    this.#instruments = instruments;
    this.#target = target;
    this.#optionalLabels = optionalLabels;
    this.#isOn = isOn;
    this.#labelsOf = labelsOf;
  }

  /**
   * Returns what records a subchannel. Channels share subchannels, and plugins of one meter provider
   * share its metrics: each metric counts a subchannel for the first plugin that turns it on, with
   * the labels of that plugin.
   *
   * @returns Undefined if all metrics count the subchannel already, or if nothing is recorded.
   */
  recorderFor(subchannel: object): SubchannelRecorder | undefined {
    if (!this.#isOn()) return undefined;
    const instruments = Object.entries(this.#instruments)
      .filter(([, instrument]) => startsToCount(instrument, subchannel));
    if (instruments.length === 0) return undefined;
    const { locality, backendService } = this.#labelsOf?.(subchannel) ?? NOWHERE;
    return new SubchannelRecorder(
      Object.fromEntries(instruments),
      {
        "grpc.target": this.#target,
        ...optional(this.#optionalLabels, "grpc.lb.locality", locality),
        ...optional(this.#optionalLabels, "grpc.lb.backend_service", backendService),
      },
      this.#optionalLabels,
      this.#isOn,
    );
  }
}

/** Records the connections of one subchannel. */
export class SubchannelRecorder {
  readonly #instruments: Partial<SubchannelInstruments>;
  readonly #attributes: Attributes;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #isOn: () => boolean;
  /** Whether a connection is open that is recorded. Its end is recorded in any case. */
  #isConnected = false;

  constructor(
    instruments: Partial<SubchannelInstruments>,
    attributes: Attributes,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
  ) {
    this.#instruments = instruments;
    this.#attributes = attributes;
    this.#optionalLabels = optionalLabels;
    this.#isOn = isOn;
  }

  /**
   * Called when a connection opens, and for a connection that is older than the recorder. Both count
   * as an attempt that succeeded: the number of open connections is always that of these attempts
   * less the disconnections, as gRFC A94 expects, and no metric depends on who was first.
   *
   * @param securityLevel The label `grpc.security_level`.
   * @param context The context of the call that the connection was opened for.
   */
  connected(securityLevel: string, context: Context): void {
    if (!this.#isOn()) return;
    this.#isConnected = true;
    add(this.#instruments.connectionAttemptsSucceeded, 1, this.#attributes, context);
    add(this.#instruments.openConnections, 1, this.#secured(securityLevel), context);
  }

  /**
   * Called when an attempt to connect fails.
   *
   * @param context The context of the call that the connection was attempted for.
   */
  connectionFailed(context: Context): void {
    if (!this.#isOn()) return;
    add(this.#instruments.connectionAttemptsFailed, 1, this.#attributes, context);
  }

  /**
   * Called when a connection ends.
   *
   * @param reason The label `grpc.disconnect_error`.
   * @param securityLevel The label `grpc.security_level` that the connection opened with.
   * @param context The context that the connection opened with.
   */
  disconnected(reason: string, securityLevel: string, context: Context): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    const attributes = {
      ...this.#attributes,
      ...optional(this.#optionalLabels, "grpc.disconnect_error", reason),
    };
    add(this.#instruments.disconnections, 1, attributes, context);
    add(this.#instruments.openConnections, -1, this.#secured(securityLevel), context);
  }

  #secured(securityLevel: string): Attributes {
    return {
      ...this.#attributes,
      ...optional(this.#optionalLabels, "grpc.security_level", securityLevel),
    };
  }
}

function optional(
  labels: ReadonlySet<OptionalLabel>,
  label: OptionalLabel,
  value: string,
): Attributes {
  return labels.has(label) ? { [label]: value } : {};
}

function add(
  counter: Counter | UpDownCounter | undefined,
  value: number,
  attributes: Attributes,
  context: Context,
): void {
  if (counter !== undefined) recordValue(counter, value, withinLimit(counter, attributes), context);
}
