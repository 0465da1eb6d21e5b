import type { Attributes, Counter, UpDownCounter } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import type { SubchannelInstruments } from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { recordValue } from "../metrics/series.ts";

/** Records the connections of the channels of one target (gRFC A94). */
export class SubchannelMetrics {
  readonly #instruments: SubchannelInstruments;
  readonly #attributes: Attributes;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #subchannels: WeakSet<object>;

  /**
   * @param target The channel's `grpc.target` label.
   * @param subchannels The subchannels that are already recorded. Channels may share subchannels.
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

  /** Returns whether a subchannel is not recorded yet, and marks it as recorded. */
  isNew(subchannel: object): boolean {
    if (this.#subchannels.has(subchannel)) return false;
    this.#subchannels.add(subchannel);
    return true;
  }

  /**
   * Called when a connection opens.
   *
   * @param securityLevel The label `grpc.security_level`.
   */
  connected(securityLevel: string): void {
    add(this.#instruments.connectionAttemptsSucceeded, 1, this.#attributes);
    add(this.#instruments.openConnections, 1, this.#secured(securityLevel));
  }

  /** Called when an attempt to connect fails. */
  connectionFailed(): void {
    add(this.#instruments.connectionAttemptsFailed, 1, this.#attributes);
  }

  /**
   * Called when a connection ends.
   *
   * @param reason The label `grpc.disconnect_error`.
   * @param securityLevel The label `grpc.security_level` that the connection opened with.
   */
  disconnected(reason: string, securityLevel: string): void {
    add(this.#instruments.disconnections, 1, {
      ...this.#attributes,
      ...this.#optional("grpc.disconnect_error", reason),
    });
    add(this.#instruments.openConnections, -1, this.#secured(securityLevel));
  }

  #secured(securityLevel: string): Attributes {
    return {
      ...this.#attributes,
      ...this.#optional("grpc.security_level", securityLevel),
    };
  }

  #optional(label: OptionalLabel, value: string): Attributes {
    return this.#optionalLabels.has(label) ? { [label]: value } : {};
  }
}

function add(
  counter: Counter | UpDownCounter,
  value: number,
  attributes: Attributes,
): void {
  recordValue(counter, value, withinLimit(counter, attributes));
}
