import type { Attributes, Context, Counter } from "@opentelemetry/api";
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

  /**
   * @param isOn Returns whether handshakes that end are recorded.
   * @param target The channel's `grpc.target` label. Undefined for a server.
   */
  constructor(
    { handshakes }: HandshakeInstruments,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
    target?: string,
  ) {
    this.#handshakes = handshakes;
    this.#target = target;
    this.#optionalLabels = optionalLabels;
    this.#isOn = isOn;
  }

  /**
   * Returns whether this records the handshakes of a source of connections. A metric records those of
   * each source for the first plugin that turns it on, with the labels of that plugin.
   */
  startsToCount(source: object): boolean {
    return this.#isOn() && startsToCount(this.#handshakes, source);
  }

  /**
   * Called when a handshake ends.
   *
   * @param context The context of the call that the connection was opened for.
   */
  ended({ result, isResumed }: Handshake, context: Context): void {
    if (!this.#isOn()) return;
    const attributes: Attributes = { "grpc.tls.handshake.result": result };
    if (this.#target !== undefined) attributes["grpc.target"] = this.#target;
    if (this.#optionalLabels.has("grpc.tls.handshake.resumed")) {
      attributes["grpc.tls.handshake.resumed"] = isResumed ? "RESUMED_HANDSHAKE" : "FULL_HANDSHAKE";
    }
    if (this.#target !== undefined) {
      for (const label of ["grpc.lb.locality", "grpc.lb.backend_service"] as const) {
        if (this.#optionalLabels.has(label)) attributes[label] = "";
      }
    }
    recordValue(this.#handshakes, 1, withinLimit(this.#handshakes, attributes), context);
  }
}
