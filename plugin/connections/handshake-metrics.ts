import type { Attributes, Context, Counter } from "@opentelemetry/api";
import { NOWHERE } from "../client/policy-tree.ts";
import type { LabelsOfSubchannel, LoadBalancerLabels } from "../client/policy-tree.ts";
import { withinLimit } from "../metrics/cardinality.ts";
import { startsToCount } from "../metrics/counted-once.ts";
import type { HandshakeInstruments } from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { recordValue } from "../metrics/series.ts";
import type { Handshake } from "./handshake-result.ts";

/** Records the TLS handshakes of a server, or of the channels of one target (gRFC A118). */
export class HandshakeMetrics {
  readonly #handshakes: Counter;
  readonly #target: string | undefined;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #isOn: () => boolean;
  readonly #labelsOf: LabelsOfSubchannel | undefined;
  readonly #labels = new WeakMap<object, LoadBalancerLabels>();

  /**
   * @param isOn Returns whether handshakes that end are recorded.
   * @param target The channel's `grpc.target` label. Undefined for a server.
   * @param labelsOf Undefined if no label of load balancers is on.
   */
  constructor(
    { handshakes }: HandshakeInstruments,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
    target?: string,
    labelsOf?: LabelsOfSubchannel,
  ) {
    this.#handshakes = handshakes;
    this.#target = target;
    this.#optionalLabels = optionalLabels;
    this.#isOn = isOn;
    this.#labelsOf = labelsOf;
  }

  /**
   * Returns whether this records the handshakes of a source of connections. A metric records those of
   * each source for the first plugin that turns it on, with the labels of that plugin.
   */
  startsToCount(source: object): boolean {
    if (!this.#isOn() || !startsToCount(this.#handshakes, source)) return false;
    if (this.#labelsOf !== undefined) this.#labels.set(source, this.#labelsOf(source));
    return true;
  }

  /**
   * Called when a handshake ends.
   *
   * @param context The context of the call that the connection was opened for.
   * @param source The source of the connection.
   */
  ended({ result, isResumed }: Handshake, context: Context, source: object): void {
    if (!this.#isOn()) return;
    const attributes: Attributes = { "grpc.tls.handshake.result": result };
    if (this.#target !== undefined) attributes["grpc.target"] = this.#target;
    if (this.#optionalLabels.has("grpc.tls.handshake.resumed")) {
      attributes["grpc.tls.handshake.resumed"] = isResumed ? "RESUMED_HANDSHAKE" : "FULL_HANDSHAKE";
    }
    if (this.#target !== undefined) {
      const { locality, backendService } = this.#labels.get(source) ?? NOWHERE;
      const optional = this.#optionalLabels;
      if (optional.has("grpc.lb.locality")) attributes["grpc.lb.locality"] = locality;
      if (optional.has("grpc.lb.backend_service")) {
        attributes["grpc.lb.backend_service"] = backendService;
      }
    }
    recordValue(this.#handshakes, 1, withinLimit(this.#handshakes, attributes), context);
  }
}
