import type { Attributes } from "@opentelemetry/api";
import type { SubchannelInstruments } from "./instruments.ts";
import type { OptionalLabel } from "./optional-labels.ts";

/** Records the connections of the channels of one target (gRFC A94). */
export class SubchannelMetrics {
  readonly #instruments: SubchannelInstruments;
  readonly #attributes: Attributes;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #subchannels: WeakSet<object>;

  /**
   * @param target The channel's `grpc.target` label.
   * @param subchannels Those that are recorded already; channels share theirs.
   */
  constructor(
    instruments: SubchannelInstruments,
    target: string,
    optionalLabels: ReadonlySet<OptionalLabel>,
    subchannels: WeakSet<object>,
  ) {
    this.#instruments = instruments;
    this.#optionalLabels = optionalLabels;
    this.#subchannels = subchannels;
    this.#attributes = {
      "grpc.target": target,
      ...this.#optional("grpc.lb.locality", ""),
      ...this.#optional("grpc.lb.backend_service", ""),
    };
  }

  /** Whether a subchannel is not recorded yet; from then on it is. */
  isNew(subchannel: object): boolean {
    if (this.#subchannels.has(subchannel)) return false;
    this.#subchannels.add(subchannel);
    return true;
  }

  /** @param securityLevel The label `grpc.security_level`. */
  connected(securityLevel: string): void {
    this.#instruments.connectionAttemptsSucceeded.add(1, this.#attributes);
    this.#instruments.openConnections.add(1, this.#secured(securityLevel));
  }

  connectionFailed(): void {
    this.#instruments.connectionAttemptsFailed.add(1, this.#attributes);
  }

  /**
   * @param reason The label `grpc.disconnect_error`.
   * @param securityLevel The label that it was connected with.
   */
  disconnected(reason: string, securityLevel: string): void {
    this.#instruments.disconnections.add(1, {
      ...this.#attributes,
      ...this.#optional("grpc.disconnect_error", reason),
    });
    this.#instruments.openConnections.add(-1, this.#secured(securityLevel));
  }

  #secured(securityLevel: string): Attributes {
    return { ...this.#attributes, ...this.#optional("grpc.security_level", securityLevel) };
  }

  #optional(label: OptionalLabel, value: string): Attributes {
    return this.#optionalLabels.has(label) ? { [label]: value } : {};
  }
}
